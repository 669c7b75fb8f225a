use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::calls::Calls;
use crate::connection::{Connection, ConnectionOptions, connection_methods};
use crate::contexts::Contexts;
use crate::convert::{to_time, to_u32};
use crate::error::Result;
use crate::proto;
use crate::proto::fleet_service_client::FleetServiceClient as Service;

/// Begins a client without a seat: an observer or supervisor.
pub fn client() -> ClientBuilder {
    ClientBuilder { connection: ConnectionOptions::default() }
}

/// Options of a client; see [`client`].
pub struct ClientBuilder {
    connection: ConnectionOptions,
}

impl ClientBuilder {
    connection_methods!();

    /// The client. Nothing is sent before the first request. `InvalidField` names an option that breaks its rule. Needs a
    /// tokio runtime.
    pub fn connect(self) -> Result<Client> {
        self.connection.check()?;
        let connection = Connection::new(Arc::new(self.connection));
        Ok(Client { connection })
    }
}

/// What somebody does who has no seat: list, watch, hear and command calls, read contexts, see who is there. A cheap
/// handle, cloned freely.
#[derive(Clone)]
pub struct Client {
    connection: Connection,
}

impl Client {
    /// Lists, watches, hears and commands calls.
    pub fn calls(&self) -> Calls {
        Calls::new(self.connection.clone())
    }

    /// Reads and writes the contexts of calls.
    pub fn contexts(&self) -> Contexts {
        Contexts::new(self.connection.clone())
    }

    /// Pools, agents and gateways.
    pub fn fleet(&self) -> Fleet {
        Fleet { connection: self.connection.clone() }
    }

    /// Closes it for all its clones; new requests fail with `Closed`, what is under way goes on to its end.
    pub fn close(&self) {
        self.connection.close();
    }
}

/// A pool of agents.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolInfo {
    /// Its name.
    pub name: String,
    /// Sessions registered and not draining.
    pub agent_count: u32,
    /// Their places in all.
    pub capacity: u32,
    /// Places taken.
    pub busy: u32,
    /// Calls waiting for a seat.
    pub waiting: u32,
}

/// An agent session.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AgentInfo {
    /// Shared by all processes of an agent.
    pub agent_id: String,
    /// One process.
    pub instance_id: String,
    /// Its pool.
    pub pool: String,
    /// Its places.
    pub capacity: u32,
    /// The calls it has.
    pub call_ids: Vec<String>,
    /// 0 to 1, from its newest heartbeat.
    pub load: f64,
    /// It takes no more offers.
    pub draining: bool,
    /// False between the loss of its streams and the end of its grace.
    pub connected: bool,
    /// As registered.
    pub labels: std::collections::HashMap<String, String>,
    /// When it registered.
    pub register_time: Option<SystemTime>,
}

/// A connector of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectorInfo {
    /// Its name.
    pub name: String,
    /// Signed in at the provider.
    pub ready: bool,
}

/// A gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayInfo {
    /// Its id.
    pub gateway_id: String,
    /// Its version.
    pub version: String,
    /// Calls whose sockets it has.
    pub call_count: u32,
    /// It takes no new calls.
    pub draining: bool,
    /// Its connectors.
    pub connectors: Vec<ConnectorInfo>,
    /// When it started.
    pub start_time: Option<SystemTime>,
}

/// Who is there.
#[derive(Clone)]
pub struct Fleet {
    connection: Connection,
}

impl Fleet {
    /// The pools, by name.
    pub async fn pools(&self) -> Result<Vec<PoolInfo>> {
        let response = self
            .connection
            .unary(proto::ListPoolsRequest::default(), Duration::ZERO, false, |channel, request| async {
                Service::new(channel).list_pools(request).await
            })
            .await?;
        let pool = |pool: proto::Pool| PoolInfo {
            name: pool.name,
            agent_count: to_u32(pool.agent_count),
            capacity: to_u32(pool.capacity),
            busy: to_u32(pool.busy),
            waiting: to_u32(pool.waiting),
        };
        Ok(response.pools.into_iter().map(pool).collect())
    }

    /// The agent sessions, by pool and time of registration, of one pool or of all.
    pub async fn agents(&self, pool: Option<&str>) -> Result<Vec<AgentInfo>> {
        let request = proto::ListAgentsRequest { pool: pool.unwrap_or_default().to_owned() };
        let response = self
            .connection
            .unary(request, Duration::ZERO, false, |channel, request| async {
                Service::new(channel).list_agents(request).await
            })
            .await?;
        let agent = |agent: proto::Agent| AgentInfo {
            agent_id: agent.agent_id,
            instance_id: agent.instance_id,
            pool: agent.pool,
            capacity: to_u32(agent.capacity),
            call_ids: agent.call_ids,
            load: agent.load,
            draining: agent.draining,
            connected: agent.connected,
            labels: agent.labels,
            register_time: to_time(agent.register_time),
        };
        Ok(response.agents.into_iter().map(agent).collect())
    }

    /// The gateways, by id.
    pub async fn gateways(&self) -> Result<Vec<GatewayInfo>> {
        let request = proto::ListGatewaysRequest::default();
        let response = self
            .connection
            .unary(request, Duration::ZERO, false, |channel, request| async {
                Service::new(channel).list_gateways(request).await
            })
            .await?;
        let connector = |c: proto::ConnectorStatus| ConnectorInfo { name: c.name, ready: c.ready };
        let gateway = |gateway: proto::Gateway| GatewayInfo {
            gateway_id: gateway.gateway_id,
            version: gateway.version,
            call_count: to_u32(gateway.call_count),
            draining: gateway.draining,
            connectors: gateway.connectors.into_iter().map(connector).collect(),
            start_time: to_time(gateway.start_time),
        };
        Ok(response.gateways.into_iter().map(gateway).collect())
    }
}
