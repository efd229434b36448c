//! The ways to the scheduler.

use std::net::SocketAddr;

use super::answers::{PLACES_MAX, marathon_places, mesos_dns_places};
use super::reasons::{Cause, Miss};
use super::scheduler::{self, Told, text};
use super::{Discovery, Way};

impl Discovery {
    /// Goes one way to its end.
    pub(super) async fn go(&self, way: Way) -> Result<Told, Miss> {
        match way {
            Way::DnsSrv => self.by_dns().await,
            Way::SchedulerVip => self.by_vip().await,
            Way::AdminRouter => self.by_admin_router().await,
            Way::Marathon => self.by_marathon().await,
            Way::MesosDns => self.by_mesos_dns().await,
        }
    }

    async fn by_dns(&self) -> Result<Told, Miss> {
        let mut best = None;
        let names = self.config.framework.srv_names();
        for name in &names {
            let services = match self.dns.services(name).await {
                Ok(services) => services,
                // The other names would be asked of the same servers.
                Err(error) => return Err(Miss::failed(format!("SRV {name}: {error}"))),
            };
            for (host, port) in services.into_iter().take(PLACES_MAX) {
                let told = match self.dns.addresses(&host).await {
                    Ok(ips) if ips.is_empty() => {
                        Err(Miss::failed(format!("DNS names {host} and has no address of it")))
                    }
                    Ok(ips) => {
                        let places = ips.into_iter().map(|ip| SocketAddr::new(ip, port).to_string());
                        self.at_one_of(places.take(PLACES_MAX).collect()).await
                    }
                    Err(error) => Err(Miss::failed(format!("A {host}: {error}"))),
                };
                match told {
                    Ok(told) => return Ok(told),
                    Err(miss) => better(&mut best, miss),
                }
            }
        }
        Err(best.unwrap_or_else(|| Miss::unknown(format!("no SRV records of {}", names.join(" or ")))))
    }

    async fn by_vip(&self) -> Result<Told, Miss> {
        let base = match &self.config.scheduler {
            Some(base) => base.to_string(),
            None => format!("http://{}", self.config.framework.scheduler_vip()),
        };
        scheduler::ask(&self.client, &base, &self.config).await
    }

    async fn by_admin_router(&self) -> Result<Told, Miss> {
        let base = format!("{}/service/{}", self.config.admin_router, self.config.framework.path());
        scheduler::ask(&self.client, &base, &self.config).await.map_err(|miss| match miss.cause {
            // The proxy answers in the scheduler's place, also where there is none.
            Cause::Silent => Miss::new(Cause::Failed, miss.text),
            _ => miss,
        })
    }

    async fn by_marathon(&self) -> Result<Told, Miss> {
        let url = format!("{}/v2/apps/{}", self.config.marathon, self.config.framework.path());
        let places = self.places(&url, marathon_places).await?;
        if places.is_empty() {
            return Err(Miss::unknown(format!("GET {url}: the app has no running task with a port")));
        }
        self.at_one_of(places).await
    }

    async fn by_mesos_dns(&self) -> Result<Told, Miss> {
        let mut best = None;
        let names = self.config.framework.srv_names();
        for name in &names {
            let url = format!("{}/v1/services/{name}", self.config.mesos_dns);
            let places = match self.places(&url, mesos_dns_places).await {
                Ok(places) => places,
                Err(miss) if miss.cause == Cause::Unknown => continue,
                Err(miss) => return Err(miss),
            };
            if places.is_empty() {
                continue;
            }
            match self.at_one_of(places).await {
                Ok(told) => return Ok(told),
                Err(miss) => better(&mut best, miss),
            }
        }
        let unknown = || format!("{} has no records of {}", self.config.mesos_dns, names.join(" or "));
        Err(best.unwrap_or_else(|| Miss::unknown(unknown())))
    }

    /// Asks a register at `url` for places. That it knows no such name may be told by 404.
    async fn places(
        &self,
        url: &str,
        parse: fn(&[u8]) -> Result<Vec<String>, &'static str>,
    ) -> Result<Vec<String>, Miss> {
        match self.client.get(url).await {
            Ok(body) => parse(&body).map_err(|why| Miss::failed(format!("GET {url}: {why}"))),
            Err(error) if error.is_not_found() => {
                Err(Miss::unknown(format!("GET {url}: it knows no such name")))
            }
            Err(error) if error.is_denial() => Err(Miss::new(Cause::Denied, text(&error))),
            Err(error) => Err(Miss::failed(text(&error))),
        }
    }

    /// Asks at each place, since a scheduler has more ports than the one of its API.
    async fn at_one_of(&self, places: Vec<String>) -> Result<Told, Miss> {
        let mut best = None;
        for place in places {
            match scheduler::ask(&self.client, &format!("http://{place}"), &self.config).await {
                Ok(told) => return Ok(told),
                Err(miss) if miss.cause == Cause::Denied => better(&mut best, miss),
                // A register names it, so it is there, or was.
                Err(miss) => better(&mut best, Miss { cause: miss.cause.max(Cause::Silent), ..miss }),
            }
        }
        Err(best.unwrap_or_else(|| Miss::unknown("no place to ask at")))
    }
}

/// Keeps the one that tells more; of equals the first.
fn better(best: &mut Option<Miss>, miss: Miss) {
    if best.as_ref().is_none_or(|best| best.cause < miss.cause) {
        *best = Some(miss);
    }
}
