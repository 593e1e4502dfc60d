"""The application that every file of commands adds its own to."""

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def root() -> None:
    """Ganymede: a model server for generative adversarial networks.

    Start with:  ganymede serve        then:  ganymede sample --model faces64 -n 16 --seed 7 -o faces.png

    Every command has --help with an example, --quiet and --json. Completion of words with Tab: ganymede --install-completion

    Exit codes: 0 done, 1 refused or failed (one sentence says why), 2 wrong usage or a wrong setting, 3 no server there.
    """
