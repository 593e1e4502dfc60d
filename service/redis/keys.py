"""Every key the service keeps in Redis, in one table; all share one hash tag, so that a script may touch several."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KeyRow:
    """One family of keys: its name template after the hash tag, its Redis type, when it goes, what it holds."""

    template: str
    kind: str
    lifetime: str
    holds: str


TABLE: dict[str, KeyRow] = {
    # jobs
    "job": KeyRow("job:{id}", "hash", "record TTL after the end", "state, attempts, times, progress, error of one job"),
    "input": KeyRow("input:{id}", "hash", "removed at success", "request JSON and raw attachments of one job"),
    "result": KeyRow("result:{id}", "string", "result TTL", "packed result of one job, raw bytes"),
    "events": KeyRow("events:{id}", "stream", "with the job's record", "what happened to one job: source of its SSE"),
    "chunks": KeyRow("chunks:{id}", "list", "with the job's record", "ids of a split job's chunks in order"),
    "idempotency": KeyRow("idempotency:{digest}", "hash", "24 h", "job id and body digest of an Idempotency-Key"),
    "waiting": KeyRow("waiting:{lane}", "zset", "while queued", "queued jobs of one lane, by fair virtual start"),
    "fair": KeyRow("fair:{lane}", "hash", "until the lane is empty", "callers' virtual finish, lane's clock and cost"),
    "running": KeyRow("running", "stream", "while running", "jobs handed out; its consumer group holds the leases"),
    "delayed": KeyRow("delayed", "zset", "until due", "jobs waiting for their next attempt, by due time"),
    "deadlines": KeyRow("deadlines", "zset", "until the end", "jobs with a deadline, by deadline"),
    "jobs": KeyRow("jobs", "zset", "with the records", "listed jobs by creation time"),
    "dead": KeyRow("dead", "zset", "7 days", "jobs that used up their attempts, by time of death"),
    "rate": KeyRow("rate", "hash", "for ever", "pictures and jobs finished per busy second, decayed; totals"),
    "workers": KeyRow("workers", "zset", "while they beat", "living workers by last heartbeat"),
    "webhooks": KeyRow("webhooks", "zset", "until delivered", "jobs whose webhook is due, by due time"),
    "signal_work": KeyRow("signal:work", "channel", "-", "says that a job waits"),
    "signal_events": KeyRow("signal:events", "channel", "-", "says which job has a new event"),
    "signal_cancel": KeyRow("signal:cancel", "channel", "-", "says which running job is to stop"),
    "signal_versions": KeyRow("signal:versions", "channel", "-", "says that a version was chosen, loaded or unloaded"),
    # bundles
    "versions": KeyRow("versions", "hash", "for ever", "which version a name stands for, which versions are unloaded"),
    "stored": KeyRow("stored", "hash", "with the results", "caller and bytes of every set in the results store"),
    "sweeper": KeyRow("sweeper", "string", "a minute", "says that a process has just swept the results store"),
    # limits
    "limit": KeyRow("limit:{name}", "string", "until refilled", "rate limiter of one API key: next free moment"),
    # saved latents
    "saved": KeyRow("{what}s", "-", "-", "prefix of the store of saved vectors; `what` is latent or direction"),
    "saved_record": KeyRow(
        "{what}s:record:{id}", "hash", "for ever", "one saved vector: name, tags, facts, float32 data"
    ),
    "saved_names": KeyRow("{what}s:names", "hash", "for ever", "name -> id of every saved vector"),
    "saved_lex": KeyRow("{what}s:lex", "zset", "for ever", "names of saved vectors in lexical order"),
    "saved_sequence": KeyRow("{what}s:sequence", "string", "for ever", "the last sequence number given"),
    "saved_order": KeyRow("{what}s:order:{scope}", "zset", "for ever", "ids by sequence: all, of a model, tag or both"),
}


@dataclass(frozen=True)
class RedisKeys:
    """Names of keys. `tag` is the hash tag with its braces; tests give each its own to keep apart."""

    tag: str = "{gmd}"

    def name(self, row: str, **parts: str) -> str:
        """The key of one row of the table, e.g. `name("job", id="1")` -> `{gmd}:job:1`."""
        return f"{self.tag}:{TABLE[row].template.format(**parts)}"
