"""The guards: triggers that keep the promises in the database itself, on both engines.

Why triggers beside the foreign keys and checks: SQLite enforces foreign keys only on connections that ask for it, and a
stranger's shell does not. Each rule here therefore stands on its own. A guard is written once, as the condition under
which a row is refused, and rendered for each engine. They are put back after every migration, because SQLite loses a
table's triggers when it rebuilds it. At start the expected ones must all be there, word for word; so a change of a
guard comes with a revision, which puts it in place.

SQLite's `INSERT OR REPLACE` deletes the old row without telling the delete trigger, so there what may not be replaced
also refuses to be inserted twice, by its key or by the hidden rowid, which anybody may choose; PostgreSQL has no such
statement and its unique constraints do.
"""

from db.eval_guards import EVAL_GUARDS
from db.rules import append_only, erasable, fixed, not_renumbered, not_replaced, numbered
from db.triggers import Guard

ITEM_FIXED = (
    "id workflow_id source_id external_id origin model created_at output_hash content_hash prompt_version prompt_hash"
    " parameters trace_url cost_micro latency_ms prompt_tokens completion_tokens panel_u panel_rate panel"
    " rubric_version"
)
ITEM_ROUTING = "routed_at stratum inclusion risk risk_version policy_version would_release"
OUTBOX_FIXED = "seq xid item_id origin source_id workflow_id event decision_id release_id created_at"
CERTIFICATE_FIXED = (
    "id workflow_id model prompt_version risk_version policy_version threshold tolerance confidence labels bad"
    " evidence issued_at expires_at"
)
NOT_RETRACTED = "NOT EXISTS (SELECT 1 FROM retraction t WHERE t.decision_id = d.id)"

GUARDS: list[Guard] = [
    # An item is born held (history: recorded) and undecided.
    Guard(
        "item", "INSERT", "born_held",
        "NEW.status <> CASE NEW.origin WHEN 'history' THEN 'recorded' ELSE 'held' END OR NEW.decision_id IS NOT NULL"
        " OR NEW.decided_by IS NOT NULL OR NEW.decided_at IS NOT NULL OR NEW.leaves_at IS NOT NULL"
        " OR NEW.released_at IS NOT NULL OR NEW.recalled_at IS NOT NULL"
        " OR (NEW.label IS NOT NULL AND NEW.origin <> 'history')",
        "An item is born held and undecided.", at_once=True,
    ),
    not_replaced(
        "item",
        "EXISTS (SELECT 1 FROM item o WHERE o.id = NEW.id) OR EXISTS (SELECT 1 FROM item o WHERE"
        " o.workflow_id = NEW.workflow_id AND o.source_id = NEW.source_id AND o.external_id = NEW.external_id)",
        "This item",
    ),
    not_renumbered("item", "An item"),
    Guard("item", "DELETE", "no_delete", "TRUE", "An item is never deleted; its content can be erased."),
    Guard("item", "UPDATE", "no_rewrite", fixed("item", ITEM_FIXED), "What was submitted is never rewritten."),
    Guard(
        "item", "UPDATE", "counts_up", "NEW.lease_n < OLD.lease_n OR NEW.audit_seq < OLD.audit_seq",
        "Leases and audit events are counted up, never down.",
    ),
    Guard(
        "item", "UPDATE", "end_user",
        "NEW.end_user IS NOT NULL OR NOT EXISTS (SELECT 1 FROM erasure e WHERE e.item_id = OLD.id)",
        "The end user of an item goes only with an erasure.",
        only_if="NEW.end_user IS DISTINCT FROM OLD.end_user",
    ),
    Guard(
        "item", "UPDATE", "routed_once",
        f"(OLD.routed_at IS NOT NULL OR NEW.routed_at IS NULL) AND ({fixed('item', ITEM_ROUTING)})",
        "An item is routed once, as a whole.",
    ),
    Guard(
        "item", "UPDATE", "needs_decision",
        "NOT ("
        " (OLD.status = 'held' AND NEW.status NOT IN ('held', 'recorded') AND EXISTS (SELECT 1 FROM decision d WHERE"
        "   d.id = NEW.decision_id AND d.item_id = NEW.id AND d.status = NEW.status AND d.by = NEW.decided_by AND"
        "   d.decided_at = NEW.decided_at AND"
        "   NEW.leaves_at IS NOT DISTINCT FROM CASE NEW.origin WHEN 'gate' THEN d.final_at END AND"
        f"   {NOT_RETRACTED}))"
        " OR (OLD.status IN ('approved', 'corrected', 'rejected') AND NEW.status = 'held' AND NEW.decision_id IS NULL"
        "   AND NEW.decided_by IS NULL AND NEW.decided_at IS NULL AND NEW.leaves_at IS NULL AND"
        "   EXISTS (SELECT 1 FROM retraction t WHERE t.decision_id = OLD.decision_id)))",
        "A status changes only with a recorded decision, or with its retraction.",
        only_if="NEW.status IS DISTINCT FROM OLD.status OR NEW.decision_id IS DISTINCT FROM OLD.decision_id",
    ),
    Guard(
        "item", "UPDATE", "decided_once",
        f"NEW.status = OLD.status AND ({fixed('item', 'decided_by decided_at')})",
        "Who decided an item, and when, is what its decision says.",
    ),
    Guard(
        "item", "UPDATE", "leaves_when_told",
        "NEW.leaves_at IS NOT NULL OR"
        " NOT EXISTS (SELECT 1 FROM outbox o WHERE o.item_id = OLD.id AND o.decision_id = OLD.decision_id)",
        "An item has left when its application is told, and not before.",
        only_if="NEW.status = OLD.status AND NEW.leaves_at IS DISTINCT FROM OLD.leaves_at",
    ),
    Guard(
        "item", "UPDATE", "label_says_so",
        "NOT EXISTS (SELECT 1 FROM review v WHERE v.item_id = NEW.id AND v.verdict = NEW.label)",
        "A label is what a review says.",
        only_if="NEW.label IS DISTINCT FROM OLD.label AND NEW.label IS NOT NULL AND NEW.label <> 'disputed'",
    ),
    Guard(
        "item", "UPDATE", "released_says_so",
        "(NEW.released_at IS DISTINCT FROM OLD.released_at AND NOT EXISTS"
        " (SELECT 1 FROM release r WHERE r.item_id = NEW.id AND r.at = NEW.released_at)) OR"
        " (NEW.recalled_at IS DISTINCT FROM OLD.recalled_at AND NOT EXISTS"
        " (SELECT 1 FROM recall r WHERE r.item_id = NEW.id AND r.at = NEW.recalled_at))",
        "An item is released or recalled only with the row that says so.",
        only_if="NEW.released_at IS DISTINCT FROM OLD.released_at OR NEW.recalled_at IS DISTINCT FROM OLD.recalled_at",
    ),
    *erasable("item_content", "item_id", "salt prompt output context metadata", "A submitted text", "OLD.item_id"),
    Guard(
        "item_content", "UPDATE", "form", "NEW.prompt_is_chat IS DISTINCT FROM OLD.prompt_is_chat",
        "A submitted text is never rewritten.",
    ),
    Guard(
        "item_content", "UPDATE", "salt_goes_too", "(NEW.salt IS NULL) <> (NEW.output IS NULL)",
        "The salt goes with the text: what was erased cannot be guessed from its hash.",
    ),
    # A review is a label: of the item it names, and it says truly whether the text was changed.
    *append_only("review", "id", "A verdict"),
    Guard(
        "review", "INSERT", "says_truly",
        "NOT EXISTS (SELECT 1 FROM item i WHERE i.id = NEW.item_id AND i.workflow_id = NEW.workflow_id AND"
        " CASE NEW.verdict WHEN 'approve' THEN NEW.text_hash = i.output_hash"
        " WHEN 'correct' THEN NEW.text_hash <> i.output_hash AND NEW.text_hash <> '' ELSE NEW.text_hash = '' END AND"
        " (i.origin = 'history') = (NEW.person_id IS NULL) AND (NEW.person_id IS NULL OR"
        " EXISTS (SELECT 1 FROM person p WHERE p.id = NEW.person_id AND p.disabled_at IS NULL)))",
        "Approved text is the output unchanged, corrected text differs, and a verdict belongs to a person.",
        at_once=True,
    ),
    Guard(
        "review", "INSERT", "once_a_click",
        "EXISTS (SELECT 1 FROM review o WHERE o.client_id = NEW.client_id)",
        "This verdict is stored already.", only_if="NEW.client_id IS NOT NULL",
    ),
    *erasable(
        "review_content", "review_id", "text note", "A reviewer's text",
        "(SELECT v.item_id FROM review v WHERE v.id = OLD.review_id)",
    ),
    Guard(
        "review_content", "INSERT", "only_a_correction",
        "NOT EXISTS (SELECT 1 FROM review v WHERE v.id = NEW.review_id AND"
        " (v.verdict = 'correct') = (NEW.text IS NOT NULL))",
        "Only a correction has a text of its own.", at_once=True,
    ),
    # A decision: of a held item, the first that stands, on grounds that are there.
    *append_only("decision", "id", "A decision"),
    Guard(
        "decision", "INSERT", "first_that_stands",
        "NOT EXISTS (SELECT 1 FROM item i WHERE i.id = NEW.item_id AND i.status = 'held') OR"
        f" EXISTS (SELECT 1 FROM decision d WHERE d.item_id = NEW.item_id AND {NOT_RETRACTED}) OR"
        " NEW.seq <> 1 + (SELECT count(*) FROM decision d WHERE d.item_id = NEW.item_id)",
        "Only a held item can be decided, and only once.", locks="NEW.item_id",
    ),
    Guard(
        "decision", "INSERT", "grounds",
        "NEW.releases IS DISTINCT FROM (NEW.status IN ('approved', 'corrected')) OR (NEW.text_hash = '') = NEW.releases"
        " OR NEW.final_at < NEW.decided_at"
        ' OR NOT CASE NEW."by"'  # a bare "by" is a word of PL/pgSQL's own
        " WHEN 'human' THEN EXISTS (SELECT 1 FROM review v JOIN item i ON i.id = v.item_id WHERE v.id = NEW.review_id"
        "  AND v.item_id = NEW.item_id AND v.verdict = NEW.verdict AND v.text_hash = NEW.text_hash AND"
        "  NEW.actor = 'person:' || v.person_id AND"
        "  v.purpose = CASE i.origin WHEN 'gold' THEN 'gold' WHEN 'candidate' THEN 'candidate' ELSE 'gate' END AND"
        "  NEW.status = CASE v.verdict WHEN 'approve' THEN 'approved' WHEN 'correct' THEN 'corrected'"
        "  ELSE 'rejected' END) AND NEW.certificate_id IS NULL AND"
        "  NOT EXISTS (SELECT 1 FROM decision d WHERE d.review_id = NEW.review_id)"
        " WHEN 'policy' THEN NEW.review_id IS NULL AND NEW.actor = 'policy' AND"
        "  CASE NEW.status WHEN 'lapsed' THEN NEW.certificate_id IS NULL"
        "  WHEN 'approved' THEN EXISTS (SELECT 1 FROM certificate c, item i WHERE"
        "   c.id = NEW.certificate_id AND i.id = NEW.item_id AND i.origin = 'gate' AND"
        "   c.workflow_id = i.workflow_id AND c.model = i.model AND"
        "   c.prompt_version IS NOT DISTINCT FROM i.prompt_version AND c.risk_version = i.risk_version AND"
        "   c.policy_version = i.policy_version AND c.voided_at IS NULL AND c.issued_at <= NEW.decided_at AND"
        "   i.routed_at <= NEW.decided_at AND c.expires_at > NEW.decided_at AND i.risk <= c.threshold AND NOT i.panel"
        "   AND NEW.text_hash = i.output_hash) ELSE FALSE END"
        " WHEN 'source' THEN NEW.review_id IS NULL AND NEW.certificate_id IS NULL AND NEW.status = 'withdrawn' AND"
        "  EXISTS (SELECT 1 FROM item i WHERE i.id = NEW.item_id AND NEW.actor = 'source:' || i.source_id)"
        " ELSE FALSE END",
        "A decision needs a reviewer's verdict, or a certificate in force.",
    ),
    *append_only("retraction", "decision_id", "A retraction"),
    Guard(
        "retraction", "INSERT", "not_left",
        "EXISTS (SELECT 1 FROM release r WHERE r.decision_id = NEW.decision_id) OR"
        " EXISTS (SELECT 1 FROM outbox o WHERE o.decision_id = NEW.decision_id) OR"
        " NOT EXISTS (SELECT 1 FROM item i JOIN decision d ON d.id = i.decision_id WHERE i.id = NEW.item_id AND"
        "  d.id = NEW.decision_id AND d.by = 'human' AND d.actor = 'person:' || NEW.person_id)",
        "What has left cannot be undone, nor by anybody but who decided it.", locks="NEW.item_id",
    ),
    # A release: of a gate item that stands decided, with the reviewed text, after grace.
    *append_only("release", "id", "A release"),
    Guard(
        "release", "INSERT", "decided",
        "NEW.origin <> 'gate' OR NOT NEW.releases OR"
        " EXISTS (SELECT 1 FROM release r WHERE r.item_id = NEW.item_id) OR"
        " NOT EXISTS (SELECT 1 FROM item i JOIN decision d ON d.id = i.decision_id WHERE i.id = NEW.item_id AND"
        "  i.origin = 'gate' AND i.status IN ('approved', 'corrected') AND d.id = NEW.decision_id AND"
        "  d.item_id = NEW.item_id AND d.releases AND d.text_hash = NEW.text_hash AND d.final_at <= NEW.at AND"
        f"  {NOT_RETRACTED})",
        "Nothing is released without a decision that stands, and only as it was reviewed.", locks="NEW.item_id",
    ),
    *append_only("recall", "release_id", "A recall"),
    Guard(
        "recall", "INSERT", "released",
        "NOT EXISTS (SELECT 1 FROM release r WHERE r.id = NEW.release_id AND r.item_id = NEW.item_id AND"
        " r.at <= NEW.at) OR NEW.reason = '' OR NOT EXISTS (SELECT 1 FROM person p WHERE p.id = NEW.person_id) OR"
        " (NEW.review_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM review v WHERE v.id = NEW.review_id AND"
        " v.item_id = NEW.item_id AND v.person_id = NEW.person_id))",
        "Only what was released can be recalled, by a person.", locks="NEW.item_id",
    ),
    # A message: says only what is so.
    Guard("outbox", "DELETE", "no_delete", "TRUE", "A message is never deleted."),
    Guard("outbox", "UPDATE", "no_rewrite", fixed("outbox", OUTBOX_FIXED), "A message is never rewritten."),
    not_replaced(
        "outbox",
        "EXISTS (SELECT 1 FROM outbox o WHERE o.item_id = NEW.item_id AND o.event = NEW.event AND"
        " o.decision_id = NEW.decision_id)",
        "This message",
    ),
    *numbered("outbox", "seq", "A message"),
    Guard(
        "outbox", "INSERT", "says_what_is_so",
        "NEW.delivered_at IS NOT NULL OR NEW.dead_at IS NOT NULL OR"
        " NOT EXISTS (SELECT 1 FROM item i JOIN decision d ON d.id = i.decision_id WHERE i.id = NEW.item_id AND"
        " i.origin = 'gate' AND i.source_id = NEW.source_id AND i.workflow_id = NEW.workflow_id AND"
        " d.id = NEW.decision_id AND d.final_at <= NEW.created_at AND"
        f" {NOT_RETRACTED} AND CASE NEW.event"
        "  WHEN 'released' THEN EXISTS (SELECT 1 FROM release r WHERE r.id = NEW.release_id AND r.item_id = i.id)"
        "  WHEN 'recalled' THEN EXISTS (SELECT 1 FROM recall r WHERE r.item_id = i.id AND"
        "   r.release_id = NEW.release_id)"
        "  ELSE d.status = NEW.event END)",
        "A message says only what is so, and only to who submitted the item.", locks="NEW.item_id",
    ),
    Guard(
        "outbox_content", "UPDATE", "no_rewrite",
        "NEW.outbox_seq IS DISTINCT FROM OLD.outbox_seq OR NEW.payload IS NOT NULL OR"
        " NOT EXISTS (SELECT 1 FROM outbox o WHERE o.seq = OLD.outbox_seq AND (o.delivered_at IS NOT NULL OR"
        " EXISTS (SELECT 1 FROM erasure e WHERE e.item_id = o.item_id)))",
        "What a message carries is never rewritten; it goes when it is delivered, or with an erasure.",
    ),
    Guard(
        "outbox_content", "DELETE", "delivered",
        "NOT EXISTS (SELECT 1 FROM outbox o WHERE o.seq = OLD.outbox_seq AND o.delivered_at IS NOT NULL)",
        "What a message carries is kept until it is delivered.",
    ),
    not_replaced(
        "outbox_content", "EXISTS (SELECT 1 FROM outbox_content o WHERE o.outbox_seq = NEW.outbox_seq)",
        "What a message carries",
    ),
    # Where applications are told: an endpoint stays with its workflow, and a message that arrived stays so.
    Guard(
        "endpoint", "UPDATE", "no_rewrite", fixed("endpoint", "id workflow_id source_id created_at"),
        "An endpoint stays with the workflow and the application it was made for.",
    ),
    Guard("endpoint", "DELETE", "no_delete", "TRUE", "An endpoint is never deleted; it can be removed from use."),
    not_replaced("endpoint", "EXISTS (SELECT 1 FROM endpoint o WHERE o.id = NEW.id)", "An endpoint"),
    not_renumbered("endpoint", "An endpoint"),
    Guard(
        "delivery", "INSERT", "to_its_own",
        "NEW.delivered_at IS NOT NULL OR NEW.dead_at IS NOT NULL OR NEW.attempts <> 0 OR NOT EXISTS"
        " (SELECT 1 FROM outbox o JOIN endpoint e ON e.workflow_id = o.workflow_id WHERE o.seq = NEW.outbox_seq AND"
        " o.item_id = NEW.item_id AND e.id = NEW.endpoint_id AND coalesce(e.source_id, o.source_id) = o.source_id)",
        "A message goes only to an endpoint of its workflow and its application.",
    ),
    Guard(
        "delivery", "UPDATE", "no_rewrite",
        fixed("delivery", "endpoint_id outbox_seq item_id created_at")
        + " OR (OLD.delivered_at IS NOT NULL AND NEW.delivered_at IS DISTINCT FROM OLD.delivered_at)",
        "What was delivered stays so, and a message goes where it was meant to.",
    ),
    Guard("delivery", "DELETE", "no_delete", "TRUE", "That a message was sent is never deleted."),
    not_replaced(
        "delivery",
        "EXISTS (SELECT 1 FROM delivery o WHERE o.endpoint_id = NEW.endpoint_id AND o.outbox_seq = NEW.outbox_seq)",
        "This delivery",
    ),
    not_renumbered("delivery", "A delivery"),
    *append_only("erasure", "item_id", "An erasure"),
    Guard(
        "erasure", "INSERT", "told",
        "NOT EXISTS (SELECT 1 FROM audit a WHERE a.stream = replace(CAST(NEW.item_id AS TEXT), '-', '') AND"
        " a.action = 'item.erased' AND a.actor = NEW.erased_by AND a.at = NEW.at AND"
        " NOT EXISTS (SELECT 1 FROM audit b WHERE b.stream = a.stream AND b.seq > a.seq))",
        "An erasure comes with its audit event, which is written first.",
    ),
    Guard(
        "certificate", "UPDATE", "no_rewrite",
        f"{fixed('certificate', CERTIFICATE_FIXED)} OR (OLD.voided_at IS NOT NULL AND"
        " (NEW.voided_at IS DISTINCT FROM OLD.voided_at OR NEW.void_reason IS DISTINCT FROM OLD.void_reason))",
        "A certificate is never rewritten; it can be voided, once.",
    ),
    not_replaced("certificate", "EXISTS (SELECT 1 FROM certificate o WHERE o.id = NEW.id)", "A certificate"),
    not_renumbered("certificate", "A certificate"),
    Guard("certificate", "DELETE", "no_delete", "TRUE", "A certificate is never deleted."),
    *append_only("rubric", "workflow_id version", "A rubric"),
    *append_only("bad_definition", "workflow_id version", "A definition"),
    # The chain: each event follows the one before it.
    *append_only("audit", "stream seq", "An audit event"),
    Guard(
        "audit", "INSERT", "follows",
        "NOT EXISTS (SELECT 1 FROM audit a WHERE a.stream = NEW.stream AND a.seq = NEW.seq - 1 AND a.hash = NEW.prev)",
        "An audit event follows the one before it.",
        only_if="NEW.seq <> 1", at_once=True,
    ),
    *numbered("audit", "position", "An audit event"),
    *append_only("seal", "n", "A seal"),
    Guard(
        "seal", "INSERT", "follows",
        "NEW.prev <> COALESCE((SELECT s.hash FROM seal s ORDER BY s.n DESC LIMIT 1), '') OR"
        " EXISTS (SELECT 1 FROM seal s WHERE (s.last_xid, s.last_position) >= (NEW.last_xid, NEW.last_position))",
        "A seal follows the one before it.",
    ),
    *EVAL_GUARDS,
]  # fmt: skip

# PostgreSQL can empty a table without deleting rows.
NEVER_EMPTIED = sorted({guard.table for guard in GUARDS if guard.on == "DELETE"})
