//! Runs a case: a host in memory that notes what the policy asks.

use super::case::{Answer, Case, Expected, Fault};
use crate::BoxFuture;
use crate::contract::{Caller, IdentityError, Learning, Outcome, Request, StorageError, Target};
use crate::identity::Identity;
use crate::plugin::Plugin;
use crate::storage::{Condition, MemoryTable, Storage, Table};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Calls, answer and records left.
    pub result: Expected,
    /// Whether that is what the case expects.
    pub passed: bool,
    /// Whether the policy did what it may not.
    pub is_fault: bool,
}

/// Runs a case on a policy, in a fresh instance.
pub async fn run(plugin: &Plugin, case: &Case) -> Observed {
    let host = Arc::new(Host::of(case));
    let request = Request {
        learning_id: case.request.learning_id.clone(),
        db_id: case.request.db_id.clone(),
        table: case.request.table.clone(),
    };
    let decision = plugin.decide(request, Arc::<Host>::clone(&host) as _, Arc::<Host>::clone(&host) as _).await;
    let is_fault = decision.fault.is_some();
    let answer = match (decision.answer, decision.fault) {
        (_, Some(fault)) => Answer::Word(format!("failed: {fault}")),
        (Ok(()), None) => Answer::Word("deleted".to_owned()),
        (Err(rejection), None) => Answer::rejection(rejection),
    };
    let calls = host.calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let result = Expected { calls, answer, left: host.table.ids() };
    Observed { passed: result == case.expect, result, is_fault }
}

/// The host that a case describes.
struct Host {
    learning_id: String,
    caller: Result<Caller, IdentityError>,
    table: MemoryTable,
    faults: BTreeMap<String, Fault>,
    calls: Mutex<Vec<String>>,
}

impl Host {
    fn of(case: &Case) -> Self {
        use super::case::Identity;
        let caller = match case.identity.clone() {
            Identity::Caller(caller) => Ok(Caller {
                credential: caller.credential,
                subject: caller.subject,
                scopes: caller.scopes,
                enforce_scopes: caller.enforce_scopes,
                user_isolation: caller.user_isolation,
                admin_scope: caller.admin_scope,
            }),
            Identity::Error(error) => Err(IdentityError::new(error.kind, error.credential, error.message)),
        };
        let table = MemoryTable::default();
        for (id, owner) in &case.storage.records {
            table.insert(id.clone(), Learning::owned_by(owner.as_deref()));
        }
        Self {
            learning_id: case.request.learning_id.clone(),
            caller,
            table,
            faults: case.storage.faults.clone(),
            calls: Mutex::default(),
        }
    }

    /// Notes a call, and says what it is to answer instead of doing its work, if anything.
    fn enter(&self, function: &str, argument: Option<&str>) -> Option<Fault> {
        let mut call = format!("storage.{function}");
        if let Some(argument) = argument {
            call = format!("{call} {argument}");
        }
        self.note(call);
        self.faults.get(function).cloned()
    }

    fn note(&self, call: String) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

impl Identity for Host {
    fn current(&self) -> BoxFuture<'_, Result<Caller, IdentityError>> {
        self.note("identity.current".to_owned());
        Box::pin(std::future::ready(self.caller.clone()))
    }
}

impl Storage for Host {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        let fault = self.enter("locate", None);
        Box::pin(async {
            match fault {
                Some(Fault::Error(error)) => Err(StorageError::new(error.kind, error.message)),
                _ => Ok(Target { database: "main".to_owned(), table: "agno_learnings".to_owned() }),
            }
        })
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        let fault = self.enter("find", None);
        Box::pin(async {
            match fault {
                Some(Fault::Error(error)) => Err(StorageError::new(error.kind, error.message)),
                _ => self.table.find(self.learning_id.clone()).await,
            }
        })
    }

    fn delete(&self, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        let fault = match &condition {
            Condition::Any => self.enter("delete", None),
            Condition::OwnedBy(user) => self.enter("delete-if-owned-by", Some(user)),
            Condition::Unchanged(revision) => self.enter("delete-if-unchanged", Some(revision)),
        };
        Box::pin(async {
            match fault {
                Some(Fault::Error(error)) => Err(StorageError::new(error.kind, error.message)),
                Some(Fault::Outcome(outcome)) => Ok(outcome),
                None => self.table.delete(self.learning_id.clone(), condition).await,
            }
        })
    }
}
