//! What queues and schedulers send.

#![expect(dead_code, reason = "these types carry descriptions and are never made")]

use utoipa::ToSchema;

/// A task as Pub/Sub pushes it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct TaskPush {
    message: TaskMessage,
    #[schema(example = "projects/p/subscriptions/threatstream-respond")]
    subscription: Option<String>,
    /// Which delivery this is, where the subscription counts.
    delivery_attempt: Option<u32>,
}

/// A message of Pub/Sub with a task in it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
struct TaskMessage {
    attributes: TaskAttributes,
    /// The task's payload as JSON, in base64: for `respond`, `{threat_id}` or `{execution_id}`; for `simulate`, `{simulation_id, slice}`.
    #[schema(example = "eyJ0aHJlYXRfaWQiOiJUSFItMDEyMzQ1Njc4OWFiY2RlZjAxMjMifQ==")]
    data: String,
    #[schema(example = "2070443601311540")]
    message_id: String,
}

/// What the message says beside its data.
#[derive(ToSchema)]
struct TaskAttributes {
    /// The queue, which is the route's.
    #[schema(example = "respond")]
    queue: String,
    /// The queue's id of it.
    task_id: String,
}
