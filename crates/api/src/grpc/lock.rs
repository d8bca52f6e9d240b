//! Locks over gRPC.

use components::lock::Unlocked;

use tonic::Request;

use super::ours::asked;
use crate::api::Api;
use crate::error::Error;
use crate::lock::Wanted;
use crate::proto::dapr::runtime::v1::unlock_response::Status;
use crate::proto::dapr::runtime::v1::{TryLockRequest, TryLockResponse, UnlockRequest, UnlockResponse};

pub(super) async fn try_lock(api: &Api, request: Request<TryLockRequest>) -> Result<TryLockResponse, Error> {
    let (request, once) = asked(api, "TryLock", request)?;
    let TryLockRequest { store_name, resource_id, lock_owner, expiry_in_seconds } = request;
    let wanted = Wanted { store: &store_name, name: &resource_id, owner: &lock_owner };
    Ok(TryLockResponse { success: api.try_lock(wanted, expiry_in_seconds, once.as_ref()).await? })
}

pub(super) async fn unlock(api: &Api, request: Request<UnlockRequest>) -> Result<UnlockResponse, Error> {
    let (request, once) = asked(api, "Unlock", request)?;
    let UnlockRequest { store_name, resource_id, lock_owner } = request;
    let wanted = Wanted { store: &store_name, name: &resource_id, owner: &lock_owner };
    let status = match api.unlock(wanted, once.as_ref()).await? {
        Unlocked::Done => Status::Success,
        Unlocked::NotHeld => Status::LockDoesNotExist,
        Unlocked::Others => Status::LockBelongsToOthers,
    };
    Ok(UnlockResponse { status: status.into() })
}
