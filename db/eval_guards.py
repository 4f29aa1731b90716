"""The guards of eval sets and runs: a frozen version never changes, an answer is stored once, gates are fair."""

from typing import Any

from db.rules import append_only, erasable, fixed, not_renumbered, not_replaced
from db.triggers import Guard

FROZEN = "EXISTS (SELECT 1 FROM eval_version n WHERE n.id = {} AND n.frozen_at IS NOT NULL)"
FROZEN_CASE = (
    "EXISTS (SELECT 1 FROM eval_case k JOIN eval_version n ON n.id = k.version_id WHERE k.id = {}"
    " AND n.frozen_at IS NOT NULL)"
)
ITEM_OF_CASE = "(SELECT k.item_id FROM eval_case k WHERE k.id = OLD.case_id)"
ITEM_OF_RESULT = "(SELECT k.item_id FROM eval_result r JOIN eval_case k ON k.id = r.case_id WHERE r.id = OLD.result_id)"
RUN_FIXED = "id version_id workflow_id scorers judge judge_hash rubric_version repeats asked_by created_at"
# An application may know a model with its provider or without: openai/gpt-4o is gpt-4o, in whatever case.
SAME_NAME = (
    "(lower(i.model) = lower({0}) OR substr(lower({0}), length({0}) - length(i.model)) = '/' || lower(i.model)"
    " OR substr(lower(i.model), length(i.model) - length({0})) = '/' || lower({0}))"
)
# What follows the last slash of a name.
BARE = "lower(substr({0}, length(rtrim({0}, replace({0}, '/', ''))) + 1))"
_ITS, _CANARY = BARE.format("i.model"), BARE.format("u.canary_model")
# Of whatever provider, and dated as providers answer: gpt-4o-2024-08-06, claude-3-5-sonnet@20240620.
SAME_MODEL = (
    f"({_ITS} = {_CANARY} OR (substr({_ITS}, 1, length({_CANARY})) = {_CANARY}"
    f" AND substr({_ITS}, length({_CANARY}) + 1, 1) IN ('-', '@', ':')"
    f" AND substr({_ITS}, length({_CANARY}) + 2, 1) IN ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')))"
)
# The name of a model that was in use by then: what bears it is not the candidate's.
IN_USE = (
    "EXISTS (SELECT 1 FROM model_use w WHERE w.workflow_id = i.workflow_id AND w.at <= i.created_at AND"
    f" {SAME_NAME.format('w.model')})"
)
# An application that could not reach us may follow a trial that has ended; a day is 86,400,000,000 microseconds.
TRIAL_WAS_OVER = (
    "EXISTS (SELECT 1 FROM model_use v WHERE v.workflow_id = u.workflow_id AND v.seq > u.seq AND v.canary_model IS NULL"
    " AND v.at + 86400000000 <= i.created_at)"
)
PUT_IN_USE = (
    "EXISTS (SELECT 1 FROM model_use v WHERE v.workflow_id = u.workflow_id AND v.seq > u.seq"
    " AND v.model = u.canary_model AND v.at <= i.created_at)"
)
# Whose it is, a proxy's alias does not say: as long as it can be the candidate's, only what is known not to be goes.
ON_TRIAL = (
    "EXISTS (SELECT 1 FROM item i JOIN model_use u ON u.workflow_id = i.workflow_id WHERE i.id = NEW.item_id"
    " AND u.canary_model IS NOT NULL AND ("
    f" (({SAME_NAME.format('u.canary_model')} OR ({SAME_MODEL} AND NOT {IN_USE})) AND NOT {PUT_IN_USE})"
    f" OR (i.created_at >= u.at AND NOT {IN_USE} AND NOT {TRIAL_WAS_OVER})))"
)
IS_FROZEN = "A frozen version of an eval set never changes. Make the next version."


def _kept_once_frozen(table: str, frozen: str, row: str, lock: dict[str, Any]) -> list[Guard]:
    """Return the guards of a table whose rows come and go only while their version is a draft."""
    return [
        Guard(table, "INSERT", "none_added", frozen.format(f"NEW.{row}"), IS_FROZEN, **lock),
        Guard(table, "DELETE", "none_taken", frozen.format(f"OLD.{row}"), IS_FROZEN),
    ]


EVAL_GUARDS: list[Guard] = [
    Guard(
        "eval_version", "INSERT", "born_a_draft", "NEW.frozen_at IS NOT NULL OR NEW.content_hash IS NOT NULL",
        "A version is born a draft.",
    ),
    Guard("eval_version", "UPDATE", "frozen", "OLD.frozen_at IS NOT NULL", IS_FROZEN),
    Guard(
        "eval_version", "UPDATE", "no_rewrite", fixed("eval_version", "id set_id number"),
        "A version keeps its number.",
    ),
    Guard(
        "eval_version", "UPDATE", "counted",
        "NEW.cases IS DISTINCT FROM (SELECT count(*) FROM eval_case k WHERE k.version_id = NEW.id) OR NEW.cases = 0",
        "A version is frozen with the cases that it has.", only_if="NEW.frozen_at IS NOT NULL",
    ),
    Guard("eval_version", "DELETE", "kept", "OLD.frozen_at IS NOT NULL", IS_FROZEN),
    not_replaced(
        "eval_version",
        "EXISTS (SELECT 1 FROM eval_version o WHERE o.id = NEW.id OR"
        " (o.set_id = NEW.set_id AND o.number = NEW.number))",
        "This version",
    ),
    not_renumbered("eval_version", "A version"),
    *_kept_once_frozen("eval_case", FROZEN, "version_id", {"locks": "NEW.version_id", "locked": "eval_version"}),
    Guard(
        "eval_case", "INSERT", "says_truly",
        "NOT EXISTS (SELECT 1 FROM review v WHERE v.id = NEW.review_id AND v.item_id = NEW.item_id"
        " AND v.verdict = NEW.verdict)",
        "A case is what a review says.",
    ),
    Guard("eval_case", "UPDATE", "no_update", "TRUE", "A case is never rewritten."),
    not_replaced(
        "eval_case",
        "EXISTS (SELECT 1 FROM eval_case o WHERE o.id = NEW.id OR (o.version_id = NEW.version_id AND"
        " (o.position = NEW.position OR o.item_id = NEW.item_id)))",
        "This case",
    ),
    *_kept_once_frozen("eval_case_content", FROZEN_CASE, "case_id", {}),
    *(
        guard
        for guard in erasable(
            "eval_case_content", "case_id", "salt prompt context output target", "The text of a case", ITEM_OF_CASE
        )
        if guard.on != "DELETE"
    ),
    Guard(
        "eval_case_content", "UPDATE", "form", "NEW.prompt_is_chat IS DISTINCT FROM OLD.prompt_is_chat",
        "The text of a case is never rewritten.",
    ),
    Guard(
        "eval_run", "INSERT", "frozen", f"NOT {FROZEN.format('NEW.version_id')}",
        "Candidates are tried on a frozen version only.",
    ),
    Guard("eval_run", "UPDATE", "no_rewrite", fixed("eval_run", RUN_FIXED), "What a run was asked is never rewritten."),
    Guard("eval_run", "UPDATE", "counts_up", "NEW.lease_n < OLD.lease_n", "The processes of a run are counted up."),
    Guard("eval_run", "DELETE", "no_delete", "TRUE", "A run is never deleted."),
    not_replaced("eval_run", "EXISTS (SELECT 1 FROM eval_run o WHERE o.id = NEW.id)", "This run"),
    not_renumbered("eval_run", "A run"),
    *append_only("eval_candidate", "run_id position", "A candidate"),
    Guard(
        "eval_result", "UPDATE", "no_rewrite",
        f"OLD.error IS NULL OR {fixed('eval_result', 'id run_id candidate case_id repeat')}",
        "An answer is never rewritten; only what failed can be tried again.",
    ),
    Guard("eval_result", "DELETE", "no_delete", "TRUE", "An answer is never deleted."),
    not_replaced(
        "eval_result",
        "EXISTS (SELECT 1 FROM eval_result o WHERE o.id = NEW.id OR (o.run_id = NEW.run_id AND"
        " o.candidate = NEW.candidate AND o.case_id = NEW.case_id AND o.repeat = NEW.repeat))",
        "This answer",
    ),
    not_renumbered("eval_result", "An answer"),
    *erasable("eval_result_content", "result_id", "output", "An answer", ITEM_OF_RESULT),
    *append_only("eval_score", "result_id scorer", "A score"),
    *erasable("eval_score_content", "result_id scorer", "rationale", "The grounds of a score", ITEM_OF_RESULT),
    *append_only("eval_review", "result_id", "What was put before reviewers"),
    *append_only("eval_gate", "id", "What the gate said"),
    Guard(
        "eval_gate", "INSERT", "says_truly",
        "NEW.outcome IS DISTINCT FROM (CASE WHEN NEW.high < NEW.margin THEN 'pass' WHEN NEW.low > 0 THEN 'block'"
        " ELSE 'inconclusive' END)",
        "The gate passes what is shown to be no worse than the margin, and blocks what is shown to be worse.",
    ),
    *append_only("model_use", "workflow_id seq", "A change of the model"),
    Guard(
        "model_use", "INSERT", "follows",
        "NEW.seq <> 1 + (SELECT count(*) FROM model_use u WHERE u.workflow_id = NEW.workflow_id)",
        "A change of the model follows the one before it.",
    ),
    Guard(
        "model_use", "INSERT", "grounds",
        "CASE WHEN NEW.gate_id IS NULL THEN COALESCE(NEW.reason, '') = '' ELSE NOT EXISTS (SELECT 1 FROM eval_gate g"
        " JOIN eval_candidate c ON c.run_id = g.candidate_run AND c.position = g.candidate"
        " WHERE g.id = NEW.gate_id AND g.workflow_id = NEW.workflow_id AND g.model = NEW.model AND g.outcome = 'pass'"
        " AND c.model = NEW.model AND c.parameters = NEW.parameters) END",
        "Another model takes its place by a gate that it passed with these parameters, or with a written reason.",
    ),
    Guard(
        "decision", "INSERT", "no_trial_unseen",
        ON_TRIAL,
        "All that a candidate on trial writes is reviewed, until the candidate is the model in use.",
        only_if="""NEW."by" = 'policy' AND NEW.status = 'approved'""",
    ),
]  # fmt: skip
