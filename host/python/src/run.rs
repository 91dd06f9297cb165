//! One decision, step by step.

use crate::decision::Decision;
use crate::host_value::{LearningValue, StorageErrorValue, TargetValue};
use crate::names::FromContractName;
use crate::sandbox::Threads;
use delete_learning::{
    BoxFuture, Caller, Condition, DeleteRequest, IdentityError, Learning, Outcome, Policy, RecordStorage, StorageError,
    StorageErrorKind, Target,
};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

type DecisionFuture = Pin<Box<dyn Future<Output = delete_learning::Decision> + Send>>;

/// A decision that is being made. Dropping it stops the policy.
#[pyclass(module = "delete_learning._native")]
pub(crate) struct Run {
    steps: Mutex<Steps>,
    /// The call that Python performs now.
    pending: Option<HostCall>,
    waker: Option<Waker>,
    threads: Arc<Threads>,
}

/// What the policy does, and the calls that it makes.
struct Steps {
    decision: DecisionFuture,
    calls: UnboundedReceiver<HostCall>,
}

enum Step {
    Call(HostCall),
    Finished(delete_learning::Decision),
}

impl Steps {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        if let Poll::Ready(decision) = self.decision.as_mut().poll(context) {
            return Poll::Ready(Step::Finished(decision));
        }
        // A policy that computes for long is polled by another thread, so a call can arrive at any time.
        match self.calls.poll_recv(context) {
            Poll::Ready(Some(call)) => Poll::Ready(Step::Call(call)),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Run {
    pub(crate) fn start(
        policy: &Arc<Policy>,
        threads: &Arc<Threads>,
        request: DeleteRequest,
        caller: Result<Caller, IdentityError>,
        wake: Option<Py<PyAny>>,
        on_thread: bool,
    ) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let policy = Arc::clone(policy);
        let decision = async move { policy.decide(request, caller, Arc::new(Storage(sender))).await };
        let decision: DecisionFuture = if on_thread {
            let task = threads.handle().spawn(decision);
            Box::pin(async {
                match task.await {
                    Ok(decision) => decision,
                    // The task panicked, so this one panics too, as it would have without the thread.
                    Err(error) => std::panic::resume_unwind(Box::new(error)),
                }
            })
        } else {
            Box::pin(decision)
        };
        Self {
            steps: Mutex::new(Steps { decision, calls }),
            pending: None,
            waker: wake.map(|wake| Waker::from(Arc::new(Callback(wake)))),
            threads: Arc::clone(threads),
        }
    }

    /// Converts a step for Python: the name of a function and its arguments, or a [`Decision`].
    fn step<'py>(&mut self, py: Python<'py>, step: Step) -> PyResult<Bound<'py, PyAny>> {
        match step {
            Step::Finished(decision) => Decision::from(decision).into_bound_py_any(py),
            Step::Call(call) => {
                let step = match &call {
                    HostCall::Locate(_) => ("locate", Vec::new()),
                    HostCall::Find(_) => ("find", Vec::new()),
                    HostCall::Delete(Condition::Any, _) => ("delete", Vec::new()),
                    HostCall::Delete(Condition::OwnedBy(user), _) => ("delete_if_owned_by", vec![user.clone()]),
                    HostCall::Delete(Condition::Unchanged(revision), _) => {
                        ("delete_if_unchanged", vec![revision.clone()])
                    }
                };
                self.pending = Some(call);
                step.into_bound_py_any(py)
            }
        }
    }
}

#[pymethods]
impl Run {
    /// Passes the result of the call to the policy.
    fn answer(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.pending.take() {
            Some(HostCall::Locate(answer)) => {
                let _ = answer.send(Ok(value.extract::<TargetValue>()?.into()));
            }
            Some(HostCall::Find(answer)) => {
                let learning = value.extract::<Option<LearningValue>>()?;
                let _ = answer.send(Ok(learning.map(Into::into)));
            }
            Some(HostCall::Delete(_, answer)) => {
                let _ = answer.send(Ok(Outcome::from_name(value.extract()?)?));
            }
            None => return Err(PyRuntimeError::new_err("no call is pending")),
        }
        Ok(())
    }

    /// Passes the error of the call to the policy.
    fn fail(&mut self, error: StorageErrorValue) -> PyResult<()> {
        let error: StorageError = error.try_into()?;
        match self.pending.take() {
            Some(HostCall::Locate(answer)) => drop(answer.send(Err(error))),
            Some(HostCall::Find(answer)) => drop(answer.send(Err(error))),
            Some(HostCall::Delete(_, answer)) => drop(answer.send(Err(error))),
            None => return Err(PyRuntimeError::new_err("no call is pending")),
        }
        Ok(())
    }

    /// Continues until the next step, and blocks this thread meanwhile.
    fn next<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (steps, threads) = (&mut self.steps, &self.threads);
        let step = py.detach(|| {
            let steps = steps.get_mut().unwrap_or_else(PoisonError::into_inner);
            threads.handle().block_on(poll_fn(|context| steps.poll(context)))
        });
        self.step(py, step)
    }

    /// Continues until the next step, or returns `None` if the policy waits. `wake` is called when it can continue.
    fn poll<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (steps, threads) = (&mut self.steps, &self.threads);
        let Some(waker) = &self.waker else { return Err(PyRuntimeError::new_err("this run has no `wake`")) };
        let step = py.detach(|| {
            let steps = steps.get_mut().unwrap_or_else(PoisonError::into_inner);
            // For timers.
            let _context = threads.handle().enter();
            steps.poll(&mut Context::from_waker(waker))
        });
        match step {
            Poll::Ready(step) => self.step(py, step).map(Some),
            Poll::Pending => Ok(None),
        }
    }
}

/// Calls `wake`.
struct Callback(Py<PyAny>);

impl Wake for Callback {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The interpreter can be shutting down, and the event loop can be closed: then nobody waits.
        let _ = Python::try_attach(|py| self.0.call0(py).map(drop));
    }
}

/// A call that Python performs, with where its result goes.
enum HostCall {
    Locate(Answer<Target>),
    Find(Answer<Option<Learning>>),
    Delete(Condition, Answer<Outcome>),
}

type Answer<T> = oneshot::Sender<Result<T, StorageError>>;

/// The storage of one decision: sends each call to [`Run`], and waits for the answer.
struct Storage(UnboundedSender<HostCall>);

impl Storage {
    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(Answer<T>) -> HostCall,
    ) -> BoxFuture<'_, Result<T, StorageError>> {
        let (sender, receiver) = oneshot::channel();
        let is_sent = self.0.send(call(sender)).is_ok();
        Box::pin(async move {
            // Python stopped the decision. A policy on another thread ends with this error; nobody sees its result.
            let stopped = || StorageError::new(StorageErrorKind::Internal, "the decision was stopped");
            if is_sent { receiver.await.unwrap_or_else(|_| Err(stopped())) } else { Err(stopped()) }
        })
    }
}

impl RecordStorage for Storage {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        self.call(HostCall::Locate)
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        self.call(HostCall::Find)
    }

    fn delete(&self, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        self.call(|answer| HostCall::Delete(condition, answer))
    }
}
