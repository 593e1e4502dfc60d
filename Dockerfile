# One image for every role: docker build -t ganymede .              CPU (ONNX Runtime)
#                         docker build --build-arg FLAVOUR=gpu .   CUDA (onnxruntime-gpu with its CUDA libraries from PyPI)
ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE} AS build
ARG FLAVOUR=cpu
WORKDIR /src
RUN python -m venv /opt/ganymede
# Dependencies first: they change seldom, and this layer is the long one.
COPY requirements ./requirements
RUN /opt/ganymede/bin/pip install --no-cache-dir --require-hashes -r requirements/${FLAVOUR}.txt
COPY pyproject.toml README.md* ./
COPY models ./models
COPY ganymede_client ./ganymede_client
COPY save_files ./save_files
COPY service ./service
COPY training ./training
RUN /opt/ganymede/bin/pip install --no-cache-dir --no-deps . \
 && find /opt/ganymede -name __pycache__ -prune -exec rm -rf {} +

FROM ${BASE_IMAGE}
RUN groupadd --system --gid 10001 ganymede \
 && useradd --system --uid 10001 --gid ganymede --home-dir /data --shell /usr/sbin/nologin ganymede \
 && mkdir -p /data /bundles && chown ganymede:ganymede /data
COPY --from=build /opt/ganymede /opt/ganymede
ENV PATH=/opt/ganymede/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GANYMEDE_HOST=0.0.0.0 \
    GANYMEDE_PORT=8000 \
    GANYMEDE_DATA_DIR=/data \
    GANYMEDE_LOG_FORMAT=json
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# Works in every role: workers answer /livez too. readyz would restart a container that drains.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import os,urllib.request as u;u.urlopen(f'http://127.0.0.1:{os.environ[\"GANYMEDE_PORT\"]}/livez',timeout=2)"]
ENTRYPOINT ["ganymede"]
CMD ["serve"]
