//! Entities of the control schema: who asks, and what about; hierarchies follow from SPIFFE IDs. It judges nothing.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use authz_core::{
    identity::SpiffeId,
    scope::{Scope, ScopeKind},
};
use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use super::ControlAction;
use crate::policy::problem::Unexpected;

/// Who uses the control API, as far as the connection proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A process on this host, by what the kernel says of it.
    LocalUser {
        /// Its user.
        uid: u32,
        /// Its primary group.
        gid: u32,
    },
    /// A workload, by its certificate.
    Workload(SpiffeId),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalUser { uid, .. } => write!(f, "uid:{uid}"),
            Self::Workload(id) => id.fmt(f),
        }
    }
}

/// Names of types, parsed once.
pub(super) struct Uids {
    action: EntityTypeName,
    local_group: EntityTypeName,
    local_user: EntityTypeName,
    scope: EntityTypeName,
    trust_domain: EntityTypeName,
    workload: EntityTypeName,
    workload_path: EntityTypeName,
    sidecar: EntityUid,
}

impl Uids {
    /// For the sidecar of `service`.
    pub fn new(service: &str) -> Result<Self, Unexpected> {
        let name = |text: &str| text.parse::<EntityTypeName>().map_err(Unexpected::of);
        Ok(Self {
            action: name("Action")?,
            local_group: name("LocalGroup")?,
            local_user: name("LocalUser")?,
            scope: name("Scope")?,
            trust_domain: name("TrustDomain")?,
            workload: name("Workload")?,
            workload_path: name("WorkloadPath")?,
            sidecar: uid(&name("Sidecar")?, service),
        })
    }

    pub fn action(&self, action: ControlAction) -> EntityUid {
        uid(&self.action, action.as_str())
    }

    pub fn principal(&self, who: &Principal) -> Result<Entity, Unexpected> {
        match who {
            Principal::LocalUser { uid: user, gid } => {
                let attributes = [("uid", long(i64::from(*user))), ("gid", long(i64::from(*gid)))];
                let group = uid(&self.local_group, &format!("gid:{gid}"));
                entity(uid(&self.local_user, &format!("uid:{user}")), attributes, [group])
            }
            Principal::Workload(id) => {
                let attributes = [("trust_domain", text(id.trust_domain())), ("path", text(id.path()))];
                entity(uid(&self.workload, id.as_str()), attributes, self.above(id))
            }
        }
    }

    /// A scope, or the sidecar where the question is about none.
    pub fn resource(&self, scope: Option<&Scope>) -> Result<Entity, Unexpected> {
        let Some(scope) = scope else { return Ok(Entity::with_uid(self.sidecar.clone())) };
        let place = Place::of(scope).map_err(|why| Unexpected::new(&why))?;
        let trust_domain = place.trust_domain().map(|name| ("trust_domain", text(name)));
        let attributes = [("kind", text(scope.kind().as_str())), ("value", text(scope.value()))];
        let above: Vec<EntityUid> = match &place {
            Place::Nowhere => Vec::new(),
            Place::TrustDomain(name) => vec![uid(&self.trust_domain, name)],
            Place::Workload(id) => self.above(id).collect(),
        };
        entity(uid(&self.scope, &scope.to_string()), attributes.into_iter().chain(trust_domain), above)
    }

    /// Everything an ID lies in, itself as a path included.
    fn above(&self, id: &SpiffeId) -> impl Iterator<Item = EntityUid> {
        let paths = id.prefixes().map(|prefix| uid(&self.workload_path, prefix));
        paths.chain([uid(&self.trust_domain, id.trust_domain())])
    }
}

/// Whether an entity of this name can ever ask or be asked about; names of workloads are checked elsewhere.
pub(super) fn check_name(uid: &EntityUid) -> Result<(), String> {
    let id = uid.id().unescaped();
    let number = |kind: &str| {
        let digits =
            id.strip_prefix(kind).filter(|digits| digits.parse::<u32>().is_ok_and(|it| it.to_string() == *digits));
        digits.map(drop).ok_or_else(|| format!("write it as {kind}1000"))
    };
    match uid.type_name().to_string().as_str() {
        "LocalGroup" => number("gid:"),
        "LocalUser" => number("uid:"),
        "Scope" => id.parse::<Scope>().map(drop).map_err(|error| error.to_string()),
        _ => Ok(()),
    }
}

/// Where in the names of workloads a scope lies.
enum Place {
    /// Its name says nothing of that.
    Nowhere,
    TrustDomain(String),
    /// Of one workload, or of a path, which reads like one.
    Workload(SpiffeId),
}

impl Place {
    fn of(scope: &Scope) -> Result<Self, String> {
        match scope.kind() {
            ScopeKind::PathPrefix | ScopeKind::SpiffeId => {
                SpiffeId::parse(scope.value()).map(Self::Workload).map_err(|error| error.to_string())
            }
            ScopeKind::TrustDomain => Ok(Self::TrustDomain(scope.value().to_owned())),
            ScopeKind::Agent
            | ScopeKind::Certificate
            | ScopeKind::Device
            | ScopeKind::IssuerSerial
            | ScopeKind::Session
            | ScopeKind::Subject
            | ScopeKind::Token => Ok(Self::Nowhere),
        }
    }

    fn trust_domain(&self) -> Option<&str> {
        match self {
            Self::Nowhere => None,
            Self::TrustDomain(name) => Some(name),
            Self::Workload(id) => Some(id.trust_domain()),
        }
    }
}

fn entity(
    uid: EntityUid,
    attributes: impl IntoIterator<Item = (&'static str, RestrictedExpression)>,
    above: impl IntoIterator<Item = EntityUid>,
) -> Result<Entity, Unexpected> {
    let attributes: HashMap<_, _> = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Entity::new(uid, attributes, above.into_iter().collect::<HashSet<_>>()).map_err(Unexpected::of)
}

fn uid(name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn long(value: i64) -> RestrictedExpression {
    RestrictedExpression::new_long(value)
}
