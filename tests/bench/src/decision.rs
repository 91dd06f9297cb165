//! The time of one decision: in a fresh instance, in a reused one, natively, and by other policy engines.
//!
//! All of them decide the same rule: the caller has the scope `learnings:delete` and owns the record, or is an
//! administrator.

use crate::contract::{Host, Policy as Instance, PolicyPre, Request as InstanceRequest};
use crate::native;
use anyhow::{Context as _, Result, anyhow, ensure};
use cedar_policy::{
    Authorizer, Context, Decision as Answer, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use criterion::Criterion;
use delete_learning::storage::{Database, Databases, MemoryStore};
use delete_learning::{
    BoxFuture, Caller, Condition, Credential, DEFAULT_POLICY, DeleteRequest, IdentityError, Learning, Limits, Outcome,
    Policy, RecordStorage, StorageError, Target, engine,
};
use futures_util::future::join_all;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Barrier;
use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

const OWNER: &str = "alice@example.com";
const ID: &str = "user_memory_00000007";

/// The names of the measurements, in the order of the table.
pub const NAMES: [&str; 10] = [
    "fresh instance",
    "fresh instance, 64 at a time",
    "instantiation alone",
    "empty component",
    "reused instance",
    "native policy",
    "Cedar, request and entities built",
    "Cedar, is_authorized alone",
    "Rego, input built",
    "Rego, evaluation alone",
];

/// Returns the median over the rounds of the medians of each round, in nanoseconds, by name. The contestants take
/// turns, so that other load on the machine affects all of them.
pub fn measure(folder: &Path, rounds: usize, seconds: f64) -> Result<BTreeMap<&'static str, f64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (embedded, cedar, rego) = (Embedded::new()?, Cedar::new()?, Rego::new()?);
    let bare = Bare::new().map_err(|error| anyhow!("{error:#}"))?;
    let mut medians: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for round in 0..rounds {
        let mut criterion = Criterion::default()
            .without_plots()
            .output_directory(folder)
            .sample_size(20)
            .warm_up_time(Duration::from_secs_f64(seconds / 3.0))
            .measurement_time(Duration::from_secs_f64(seconds));
        for name in NAMES {
            let id = format!("{name} {round}");
            measure_one(&mut criterion, &id, name, &runtime, &embedded, &bare, &cedar, &rego)?;
            let file = folder.join(&id).join("new/estimates.json");
            let estimates = std::fs::read(&file).with_context(|| format!("{}", file.display()))?;
            let estimates: serde_json::Value = serde_json::from_slice(&estimates)?;
            let median = estimates["median"]["point_estimate"].as_f64().context("no median")?;
            medians.entry(name).or_default().push(median);
        }
    }
    Ok(medians.into_iter().map(|(name, figures)| (name, crate::report::median(&figures))).collect())
}

#[expect(clippy::too_many_arguments, reason = "one of each contestant")]
fn measure_one(
    criterion: &mut Criterion,
    id: &str,
    name: &str,
    runtime: &Runtime,
    embedded: &Embedded,
    bare: &Bare,
    cedar: &Cedar,
    rego: &Rego,
) -> Result<()> {
    match name {
        "fresh instance" => {
            criterion.bench_function(id, |bench| bench.to_async(runtime).iter(|| embedded.fresh()));
        }
        "fresh instance, 64 at a time" => {
            criterion.bench_function(id, |bench| {
                bench.iter_custom(|iterations| {
                    let rounds = iterations.div_ceil(AT_A_TIME as u64);
                    let begun = std::time::Instant::now();
                    runtime.block_on(async {
                        for _ in 0..rounds {
                            embedded.fresh_at_a_time().await;
                        }
                    });
                    // The time of as many decisions as were asked for.
                    begun.elapsed().mul_f64(iterations as f64 / (rounds * AT_A_TIME as u64) as f64)
                });
            });
        }
        "native policy" => {
            criterion.bench_function(id, |bench| bench.to_async(runtime).iter(|| embedded.native()));
        }
        "instantiation alone" => {
            criterion.bench_function(id, |bench| bench.to_async(runtime).iter(|| bare.instantiate(&bare.policy)));
        }
        "empty component" => {
            criterion.bench_function(id, |bench| bench.to_async(runtime).iter(|| bare.instantiate(&bare.empty)));
        }
        "reused instance" => {
            let (mut store, instance) = runtime.block_on(bare.instance()).map_err(|error| anyhow!("{error:#}"))?;
            let request = InstanceRequest { learning_id: ID.to_owned(), db_id: None, table: None };
            criterion.bench_function(id, |bench| {
                // One `block_on` for the whole batch, because entering the runtime is not part of a decision.
                bench.iter_custom(|iterations| {
                    runtime.block_on(async {
                        let begun = std::time::Instant::now();
                        for _ in 0..iterations {
                            let answer = instance.call_delete_learning(&mut store, &request).await;
                            assert!(matches!(answer, Ok(Ok(()))));
                        }
                        begun.elapsed()
                    })
                });
            });
        }
        "Cedar, request and entities built" => {
            criterion.bench_function(id, |bench| {
                bench.iter(|| {
                    let (request, entities) = cedar.inputs().expect("the inputs match the policy");
                    cedar.decide(&request, &entities)
                });
            });
        }
        "Cedar, is_authorized alone" => {
            let (request, entities) = cedar.inputs()?;
            criterion.bench_function(id, |bench| bench.iter(|| cedar.decide(&request, &entities)));
        }
        "Rego, input built" => {
            criterion.bench_function(id, |bench| bench.iter(|| rego.decide(rego.input())));
        }
        "Rego, evaluation alone" => {
            let input = rego.input();
            criterion.bench_function(id, |bench| bench.iter(|| rego.decide(input.clone())));
        }
        _ => return Err(anyhow!("no measurement is called {name}")),
    }
    Ok(())
}

/// Decisions that wait for their storage at the same time, as in the server under 64 connections.
const AT_A_TIME: usize = 64;

/// A record whose delete waits until [`AT_A_TIME`] deletes wait.
struct Waiting {
    record: Arc<dyn RecordStorage>,
    all: Arc<Barrier>,
}

impl RecordStorage for Waiting {
    fn locate(&self) -> BoxFuture<'_, Result<Target, StorageError>> {
        self.record.locate()
    }

    fn find(&self) -> BoxFuture<'_, Result<Option<Learning>, StorageError>> {
        self.record.find()
    }

    fn delete(&self, condition: Condition) -> BoxFuture<'_, Result<Outcome, StorageError>> {
        Box::pin(async move {
            self.all.wait().await;
            self.record.delete(condition).await
        })
    }
}

/// The sandbox crate as a platform embeds it, with storage and identity in memory.
pub struct Embedded {
    policy: Policy,
    store: Arc<MemoryStore>,
    databases: Databases,
}

impl Embedded {
    pub fn new() -> Result<Self> {
        Self::with_limits(&Limits::default())
    }

    pub fn with_limits(limits: &Limits) -> Result<Self> {
        let store = Arc::new(MemoryStore::default());
        let databases = Databases(vec![Database {
            id: "main".to_owned(),
            table: "learnings".to_owned(),
            store: Arc::<MemoryStore>::clone(&store),
        }]);
        Ok(Self { policy: Policy::load(DEFAULT_POLICY, limits)?, store, databases })
    }

    fn caller() -> Result<Caller, IdentityError> {
        Ok(Caller {
            credential: Credential::Jwt,
            subject: Some(OWNER.to_owned()),
            scopes: vec!["learnings:delete".to_owned()],
            scopes_optional: false,
            all_owners: false,
            admin_scope: "agent_os:admin".to_owned(),
        })
    }

    /// Stores a record and deletes it with everything of a request except HTTP: resolving the record, deciding in a
    /// fresh instance, deleting, and recording the calls.
    pub async fn fresh(&self) {
        self.store.insert(ID, Learning::owned_by(Some(OWNER)));
        let request = DeleteRequest { learning_id: ID.to_owned(), db_id: None, table: None };
        let storage = self.databases.record(&request);
        let decision = self.policy.decide(request, Self::caller(), storage).await;
        assert!(decision.answer.is_ok(), "{decision:?}");
    }

    /// As many decisions as [`AT_A_TIME`], each in a fresh instance. All begin before the first one ends.
    async fn fresh_at_a_time(&self) {
        let all = Arc::new(Barrier::new(AT_A_TIME));
        let decide = |number: usize| {
            let id = format!("user_memory_{number:08}");
            self.store.insert(id.clone(), Learning::owned_by(Some(OWNER)));
            let request = DeleteRequest { learning_id: id, db_id: None, table: None };
            let record = Waiting { record: self.databases.record(&request), all: Arc::clone(&all) };
            self.policy.decide(request, Self::caller(), Arc::new(record))
        };
        for decision in join_all((0..AT_A_TIME).map(decide)).await {
            assert!(decision.answer.is_ok(), "{decision:?}");
        }
    }

    async fn native(&self) {
        self.store.insert(ID, Learning::owned_by(Some(OWNER)));
        let request = DeleteRequest { learning_id: ID.to_owned(), db_id: None, table: None };
        let storage = self.databases.record(&request);
        let decision = native::decide(request, Self::caller(), storage).await;
        assert!(decision.answer.is_ok(), "{decision:?}");
    }
}

/// The component in the sandbox's engine, without the rest of the sandbox.
struct Bare {
    policy: InstancePre<Host>,
    empty: InstancePre<Host>,
    host: Host,
}

impl Bare {
    fn new() -> wasmtime::Result<Self> {
        let engine = engine(&Limits::default())?;
        let mut linker = Linker::new(&engine);
        Instance::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)?;
        let prepare = |bytes: &[u8]| linker.instantiate_pre(&Component::from_binary(&engine, bytes)?);
        // An empty component: magic number, version and layer.
        let empty = prepare(b"\0asm\x0d\0\x01\0")?;
        Ok(Self { policy: prepare(DEFAULT_POLICY)?, empty, host: Host { owner: OWNER.into() } })
    }

    async fn instantiate(&self, component: &InstancePre<Host>) {
        let mut store = Store::new(component.engine(), self.host.clone());
        store.set_epoch_deadline(1_000_000);
        component.instantiate_async(&mut store).await.expect("the pool has a free instance");
    }

    async fn instance(&self) -> wasmtime::Result<(Store<Host>, Instance)> {
        let mut store = Store::new(self.policy.engine(), self.host.clone());
        store.set_epoch_deadline(1_000_000);
        let instance = PolicyPre::new(self.policy.clone())?.instantiate_async(&mut store).await?;
        Ok((store, instance))
    }
}

/// The rule in Cedar.
struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    user: EntityTypeName,
    action: EntityUid,
    learning: EntityTypeName,
}

impl Cedar {
    fn new() -> Result<Self> {
        let policies = r#"
            permit (principal, action == Action::"learnings:delete", resource)
            when { principal.scopes.contains("agent_os:admin") };
            permit (principal, action == Action::"learnings:delete", resource)
            when { principal.scopes.contains("learnings:delete") && resource.owner == principal.subject };
        "#;
        let cedar = Self {
            authorizer: Authorizer::new(),
            policies: policies.parse()?,
            user: "User".parse()?,
            action: r#"Action::"learnings:delete""#.parse()?,
            learning: "Learning".parse()?,
        };
        let (request, entities) = cedar.inputs()?;
        cedar.decide(&request, &entities);
        Ok(cedar)
    }

    fn inputs(&self) -> Result<(Request, Entities)> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let user = EntityUid::from_type_name_and_id(self.user.clone(), EntityId::new(OWNER));
        let learning = EntityUid::from_type_name_and_id(self.learning.clone(), EntityId::new(ID));
        let scopes = RestrictedExpression::new_set([text("learnings:delete")]);
        let caller = HashMap::from([("subject".to_owned(), text(OWNER)), ("scopes".to_owned(), scopes)]);
        let record = HashMap::from([("owner".to_owned(), text(OWNER))]);
        let entities = [
            Entity::new(user.clone(), caller, HashSet::new())?,
            Entity::new(learning.clone(), record, HashSet::new())?,
        ];
        let request = Request::new(user, self.action.clone(), learning, Context::empty(), None)?;
        Ok((request, Entities::from_entities(entities, None)?))
    }

    fn decide(&self, request: &Request, entities: &Entities) {
        let answer = self.authorizer.is_authorized(request, &self.policies, entities);
        assert_eq!(answer.decision(), Answer::Allow);
    }
}

/// The rule in Rego.
struct Rego(regorus::CompiledPolicy);

impl Rego {
    fn new() -> Result<Self> {
        let mut engine = regorus::Engine::new();
        let policy = r#"
            package learnings
            import rego.v1
            default allow := false
            allow if "agent_os:admin" in input.caller.scopes
            allow if {
                "learnings:delete" in input.caller.scopes
                input.learning.owner == input.caller.subject
            }
        "#;
        engine.add_policy("learnings.rego".to_owned(), policy.to_owned())?;
        let rego = Self(engine.compile_with_entrypoint(&"data.learnings.allow".into())?);
        ensure!(rego.0.eval_with_input(rego.input())? == regorus::Value::from(true), "the rule allows");
        Ok(rego)
    }

    fn input(&self) -> regorus::Value {
        regorus::Value::from(serde_json::json!({
            "caller": {"subject": OWNER, "scopes": ["learnings:delete"]},
            "learning": {"id": ID, "owner": OWNER},
        }))
    }

    fn decide(&self, input: regorus::Value) {
        let answer = self.0.eval_with_input(input).expect("the rule can be evaluated");
        assert_eq!(answer, regorus::Value::from(true));
    }
}
