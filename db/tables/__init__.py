"""Every table, by the part of the journey that meets it first."""

from .base import Id, Table
from .gate import Outbox, OutboxContent, Recall, Release
from .items import Draft, Erasure, Item, ItemContent, ItemPass
from .labels import Decision, Retraction, Review, ReviewContent
from .people import Invitation, Person, RoleGrant, SignIn, Source, SourceKey, Team, TeamMember
from .trust import Audit, SchemaInfo, Seal
from .words import (
    VERDICT_STATUS,
    DecidedBy,
    Event,
    JobKind,
    JobState,
    Label,
    LinkFor,
    Origin,
    PassOver,
    Purpose,
    Role,
    Status,
    Verdict,
)
from .work import Job, SavedView
from .workflows import BadDefinition, Certificate, Reason, Rubric, Workflow

__all__ = [
    "VERDICT_STATUS",
    "Audit",
    "BadDefinition",
    "Certificate",
    "DecidedBy",
    "Decision",
    "Draft",
    "Erasure",
    "Event",
    "Id",
    "Invitation",
    "Item",
    "ItemContent",
    "ItemPass",
    "Job",
    "JobKind",
    "JobState",
    "Label",
    "LinkFor",
    "Origin",
    "Outbox",
    "OutboxContent",
    "PassOver",
    "Person",
    "Purpose",
    "Reason",
    "Recall",
    "Release",
    "Retraction",
    "Review",
    "ReviewContent",
    "Role",
    "RoleGrant",
    "Rubric",
    "SavedView",
    "SchemaInfo",
    "Seal",
    "SignIn",
    "Source",
    "SourceKey",
    "Status",
    "Table",
    "Team",
    "TeamMember",
    "Verdict",
    "Workflow",
]
