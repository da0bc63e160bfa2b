"""Know which inner names of Flower are used, and notice when one has moved."""

import importlib
import importlib.metadata

from federation.errors.rounds import FlowerMovedError

FLWR_VERSION = "1.41.0"

NAMES: dict[str, tuple[str, ...]] = {
    "flwr.app.message": ("remove_content_from_message",),
    "flwr.app.message.arraychunk": ("ArrayChunk",),
    "flwr.common.constant": (
        "SUPERLINK_NODE_ID",
        "TIMESTAMP_HEADER",
        "TRANSPORT_TYPE_GRPC_RERE",
    ),
    "flwr.common.serde": (
        "context_from_proto",
        "fab_from_proto",
        "fab_to_proto",
        "message_from_proto",
        "message_to_proto",
        "run_from_proto",
    ),
    "flwr.proto.control_pb2": (
        "ListNodesRequest",
        "RegisterNodeRequest",
        "StartRunRequest",
        "StopRunRequest",
        "UnregisterNodeRequest",
    ),
    "flwr.proto.fleet_pb2": (
        "PullMessagesRequest",
        "PushMessagesRequest",
    ),
    "flwr.proto.message_pb2": (
        "ConfirmMessageReceivedRequest",
        "PullObjectRequest",
        "PushObjectRequest",
    ),
    "flwr.proto.node_pb2": ("Node",),
    "flwr.proto.runtime_pb2": (
        "AcquireTaskRequest",
        "AcquireTaskResponse",
        "PullAppMessagesRequest",
        "PullTaskInputRequest",
        "PushAppMessagesRequest",
        "PushTaskOutputRequest",
        "SendTaskHeartbeatRequest",
    ),
    "flwr.supercore.constant": (
        "FLEET_HTTP_PUBLIC_KEY_HEADER",
        "FLEET_HTTP_SIGNATURE_HEADER",
        "FLWR_IN_MEMORY_DB_NAME",
        "HEAD_BODY_DIVIDER",
        "HEAD_VALUE_DIVIDER",
        "TASK_TOKEN_HEADER",
        "TaskType",
    ),
    "flwr.supercore.control": ("ControlHttpClient",),
    "flwr.supercore.dependencies.task": ("authenticate_task",),
    "flwr.supercore.error": ("FlowerError",),
    "flwr.supercore.fab": ("Fab",),
    "flwr.supercore.inflatable.inflatable_object": (
        "get_all_nested_objects",
        "get_object_head_values_from_object_content",
        "get_object_tree",
        "no_object_id_recompute",
    ),
    "flwr.supercore.inflatable.inflatable_utils": ("ObjectPushError",),
    "flwr.supercore.inflatable.inflatable_protobuf_utils": ("make_push_object_fn_protobuf",),
    "flwr.supercore.interceptors": (
        "RuntimeTokenHttpInterceptor",
        "RuntimeVersionHttpInterceptor",
        "SuperExecAuthHttpInterceptor",
    ),
    "flwr.server.superlink.linkstate.in_memory_linkstate": ("InMemoryLinkState",),
    "flwr.supercore.date": ("now",),
    "flwr.supercore.servicer.runtime": ("runtime_handlers",),
    "flwr.supercore.servicer.runtime.runtime_handlers": ("send_task_heartbeat",),
    "flwr.supercore.object_store.in_memory_object_store": ("InMemoryObjectStore",),
    "flwr.supercore.protobuf.constants": ("PROTOBUF_MEDIA_TYPE",),
    "flwr.supercore.runtime": ("RuntimeHttpClient",),
    "flwr.supercore.task_identity": ("TaskIdentity",),
    "flwr.superlink.cli.flower_superlink": ("SuperLinkLifespan",),
    "flwr.superlink.config_loader": (
        "SuperLinkLifespanConfig",
        "load_control_authn_plugin",
    ),
    "flwr.superlink.dependencies.linkstate": ("get_linkstate",),
    "flwr.superlink.main": ("create_app",),
    "flwr.superlink.routers.fleet.node_auth": (
        "authenticate_node",
        "verify_signature",
    ),
    "flwr.superlink.servicer.fleet": ("fleet_handlers",),
    "flwr.superlink.servicer.fleet.fleet_handlers": (
        "activate_node",
        "confirm_message_received",
        "pull_messages",
        "pull_object",
        "push_messages",
        "push_object",
        "send_node_heartbeat",
    ),
    "flwr.superlink.servicer.runtime.runtime_handlers": (
        "confirm_message_received",
        "pull_messages",
        "pull_object",
        "pull_task_input",
        "push_messages",
        "push_object",
        "push_task_output",
    ),
    "flwr.supernode.cli.flower_supernode": (
        "flower_supernode",
        "uvicorn",
    ),
    "flwr.supernode.fleet_http_connection": (
        "FleetHttpClient",
        "HeartbeatSender",
        "NodeAuthHttpInterceptor",
        "http_request_response",
        "make_simple_http_retry_invoker",
    ),
    "flwr.supernode.nodestate.in_memory_nodestate": ("InMemoryNodeState",),
    "flwr.supernode.servicer.runtime.runtime_handlers": (
        "acquire_task",
        "confirm_message_received",
        "pull_messages",
        "pull_object",
        "pull_task_input",
        "push_messages",
        "push_object",
        "push_task_output",
    ),
    "flwr.supernode.start_client_internal": (
        "_pull_and_store_message",
        "http_request_response",
        "pull_objects",
        "time",
    ),
    "uvicorn.protocols.http.httptools_impl": ("HIGH_WATER_LIMIT",),
}
"""Every inner name in use, by module."""


def moved_names() -> list[str]:
    """Return the names that the installed Flower no longer has; imports much of it."""
    missing = []
    for module, names in NAMES.items():
        try:
            found = importlib.import_module(module)
        except ImportError:
            missing.append(module)
            continue
        missing += [f"{module}.{name}" for name in names if not hasattr(found, name)]
    return missing


def check_version() -> None:
    """Refuse any other Flower than the one pinned.

    Raises
    ------
    FlowerMovedError
        If another version, or none, is installed.
    """
    try:
        found = importlib.metadata.version("flwr")
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found != FLWR_VERSION:
        raise FlowerMovedError(found=f"flwr {found}", expected=f"flwr {FLWR_VERSION}")
