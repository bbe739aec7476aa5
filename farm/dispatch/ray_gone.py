"""Ray's exceptions by name: those that mean that a worker is gone, and those that deliberately are not caught.

Invariant: every exception class of the installed Ray stands in exactly one of the two, which a test holds: a new one
is decided upon, not met at night.
"""

from ray import exceptions as of

# The worker's process or node is gone, or cannot come to be; or an answer of it is.
# OutOfMemoryError: Ray's memory monitor killed it.
WORKER_GONE = (
    of.ActorDiedError,
    of.ActorPlacementGroupRemoved,
    of.ActorUnavailableError,
    of.ActorUnschedulableError,
    of.LocalRayletDiedError,
    of.NodeDiedError,
    of.ObjectFetchTimedOutError,
    of.ObjectFreedError,
    of.ObjectLostError,
    of.ObjectReconstructionFailedError,
    of.OutOfMemoryError,
    of.OwnerDiedError,
    of.RayActorError,
    of.ReferenceCountingAssertionError,
    of.RuntimeEnvSetupError,
    of.TaskPlacementGroupRemoved,
    of.TaskUnschedulableError,
    of.WorkerCrashedError,
)

# What comes out of our own code in an actor that lives is a fault of the take (see ray_pool.py).
OUR_OWN = (of.RayTaskError, of.UnserializableException, of.UserCodeException)

NOT_CAUGHT = (
    # The base of them all, and what only Ray itself can get wrong: going on would be guessing.
    of.RayError,
    of.RaySystemError,
    of.RpcError,
    of.AuthenticationError,
    of.PlasmaObjectNotAvailable,
    of.OufOfBandObjectRefSerializationException,
    # The driver's own machine is full.
    of.ObjectStoreFullError,
    of.OutOfDiskError,
    # Of what the farm does not use: named and asynchronous actors, other languages, limits on calls that wait,
    # cancelling, waiting with a limit, generators, compiled graphs and direct transport.
    of.ActorAlreadyExistsError,
    of.ActorHandleNotFoundError,
    of.AsyncioActorExit,
    of.CrossLanguageError,
    of.PendingCallsLimitExceeded,
    of.TaskCancelledError,
    of.GetTimeoutError,
    of.ObjectRefStreamEndOfStreamError,
    of.StreamingGeneratorReplayInconsistentError,
    of.RayCgraphCapacityExceeded,
    of.RayChannelError,
    of.RayChannelTimeoutError,
    of.RayDirectTransportError,
)
