"""What a worker says where the notebook's sign-in cannot be used."""

from __future__ import annotations

SHARE_AGAIN = "In the notebook, call ic_notebook.cluster.share(client) again."
NOT_SHARED = f"The notebook's sign-in is not shared with this worker any more. {SHARE_AGAIN}"
GONE = (
    "The notebook that shares its sign-in with this cluster is gone, or has lost the scheduler. Run the task "
    "again once it is back."
)
LATE = (
    "The notebook that shares its sign-in with this cluster did not answer in time. Run the task again, or "
    "give the call a longer time limit."
)
LOST = (
    "The scheduler cannot be reached, and with it the notebook that shares its sign-in. Run the task again."
)
ENDED = f"This sign-in was ended in the notebook that shares it. Connect there. {SHARE_AGAIN}"
CLOSED = f"The notebook shares this sign-in no more. {SHARE_AGAIN}"
NOT_OURS = "This sign-in is the notebook's that shares it: disconnect or forget it there."
KEPT = "with the notebook that shares it"
