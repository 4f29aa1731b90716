"""What a job has made, as a file: streamed from the disk, never held in memory, and to nobody but who asked for it."""

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from db.engine import DatabaseUnusableError
from neuro_review import sessions
from neuro_review.errors import NeuroReviewError, NotAllowedError, NotSignedInError
from neuro_review.jobs import downloads
from neuro_review.jobs.downloads import Download
from neuro_review.web.answers import notice
from neuro_review.web.door import Door
from neuro_review.web.headers import SESSION_HEADER

HEADERS = {"Cache-Control": "private, no-store"}


async def download(door: Door, request: Request) -> Response:
    """Give out a file of a job, or say why not."""
    session_id = request.headers.get(SESSION_HEADER.decode(), "")
    job_id, part = request.path_params["job"], request.path_params["part"]

    def found(session: Session) -> Download:
        visitor = sessions.person_of(session, session_id)
        if visitor is None:
            raise NotSignedInError(sessions.ENDED)
        return downloads.download(session, job_id, visitor, part=part)

    try:
        file = await door.reading(found)
    except NotAllowedError as error:
        return notice(403, "Not allowed", str(error))
    except NotSignedInError as error:
        return notice(401, "Signed out", str(error))
    except DatabaseUnusableError as error:
        return notice(503, "Not available", str(error))
    except NeuroReviewError as error:
        return notice(404, "Not here", str(error))
    return FileResponse(file.path, filename=file.name, media_type=file.media_type, headers=HEADERS)
