//! Buses and rules as records.

use std::collections::BTreeMap;

use api_events::{LogConfig, Target, error};
use serde::{Deserialize, Serialize};
use service::Cx;
use service::authorization::bus_name;
use store::{Key, Tx};
use wire::Error;
use wire::arn::Arn;

pub(super) const DEFAULT_BUS: &str = "default";
const OWNER: &str = "events";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bus {
    /// Version of the record's form.
    pub(super) version: u32,
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) description: Option<String>,
    pub(super) created_ms: i64,
    pub(super) tags: BTreeMap<String, String>,
    /// Who else may do what with it.
    #[serde(default)]
    pub(super) policy: Option<String>,
    #[serde(default)]
    pub(super) modified_ms: Option<i64>,
    #[serde(default)]
    pub(super) dead_letter_arn: Option<String>,
    /// How much of events is logged where logs of the bus are delivered to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) log_config: Option<LogConfig>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rule {
    /// Version of the record's form.
    pub(super) version: u32,
    pub(super) account: String,
    pub(super) region: String,
    pub(super) bus: String,
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) pattern: Option<String>,
    pub(super) schedule: Option<String>,
    /// From when a `rate` counts.
    pub(super) anchor_ms: i64,
    pub(super) state: String,
    pub(super) description: Option<String>,
    pub(super) role_arn: Option<String>,
    pub(super) targets: Vec<Target>,
    pub(super) tags: BTreeMap<String, String>,
}

/// Where rules are: account, region and bus.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Home {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) bus: String,
}

impl Home {
    /// `bus` is a name or an ARN, or nothing for the default bus. Rules on another account's bus are not made: it does not exist for them.
    pub(crate) fn new(cx: &Cx, bus: Option<&str>) -> Self {
        let home = Self::of_bus(cx, bus);
        let foreign = home.account != cx.account() || home.region != cx.region();
        let bus = if foreign { bus.unwrap_or_default().to_owned() } else { home.bus };
        Self { account: cx.account().to_owned(), region: cx.region().to_owned(), bus }
    }

    /// Where a bus is that events are put on: by its ARN it may be another account's, which has to let the caller in.
    pub(crate) fn of_bus(cx: &Cx, bus: Option<&str>) -> Self {
        let bus = bus.unwrap_or(DEFAULT_BUS);
        Self::of_bus_arn(bus).unwrap_or_else(|| Self {
            account: cx.account().to_owned(),
            region: cx.region().to_owned(),
            bus: bus.to_owned(),
        })
    }

    /// Of a bus's ARN.
    pub(crate) fn of_bus_arn(text: &str) -> Option<Self> {
        let arn = Arn::parse(text).filter(|arn| arn.service == "events" && arn.resource.starts_with("event-bus/"))?;
        Some(Self { bus: bus_name(text).to_owned(), account: arn.account, region: arn.region })
    }

    /// Of a rule's ARN, with the rule's name. The default bus is not named in one.
    pub(crate) fn of_rule(arn: &str) -> Option<(Self, String)> {
        let arn = Arn::parse(arn).filter(|arn| arn.service == "events")?;
        let path = arn.resource.strip_prefix("rule/")?;
        let (bus, name) = match path.split_once('/') {
            Some((DEFAULT_BUS, _)) => return None,
            Some(parts) => parts,
            None => (DEFAULT_BUS, path),
        };
        Some((Self { bus: bus.to_owned(), account: arn.account, region: arn.region }, name.to_owned()))
    }

    pub(crate) fn rules(&self) -> Key {
        Key::new(OWNER).push("rule").push(&self.account).push(&self.region).push(&self.bus)
    }

    pub(crate) fn buses(&self) -> Key {
        Key::new(OWNER).push("bus").push(&self.account).push(&self.region)
    }

    pub(crate) fn rule_arn(&self, name: &str) -> String {
        let path = if self.bus == DEFAULT_BUS { name.to_owned() } else { format!("{}/{name}", self.bus) };
        Arn::new("events", &self.region, &self.account, format!("rule/{path}")).to_string()
    }

    pub(crate) fn bus_arn(&self) -> String {
        Arn::new("events", &self.region, &self.account, format!("event-bus/{}", self.bus)).to_string()
    }

    /// The bus; the default one is always there.
    pub(crate) fn find_bus(&self, tx: &mut Tx<'_>) -> Result<Option<Bus>, Error> {
        let stored = tx.get_json(self.buses().push(&self.bus))?;
        let default = || Bus {
            version: 1,
            name: self.bus.clone(),
            arn: self.bus_arn(),
            description: None,
            created_ms: 0,
            tags: BTreeMap::new(),
            policy: None,
            modified_ms: None,
            dead_letter_arn: None,
            log_config: None,
        };
        Ok(stored.or_else(|| (self.bus == DEFAULT_BUS).then(default)))
    }

    pub(crate) fn check_bus(&self, tx: &mut Tx<'_>) -> Result<Bus, Error> {
        self.find_bus(tx)?
            .ok_or_else(|| error::resource_not_found_exception(format!("Event bus {} does not exist.", self.bus)))
    }

    pub(crate) fn find(&self, tx: &mut Tx<'_>, name: &str) -> Result<Option<Rule>, Error> {
        Ok(tx.get_json(self.rules().push(name))?)
    }

    pub(crate) fn rule(&self, tx: &mut Tx<'_>, name: &str) -> Result<Rule, Error> {
        self.check_bus(tx)?;
        self.find(tx, name)?.ok_or_else(|| {
            error::resource_not_found_exception(format!("Rule {name} does not exist on EventBus {}.", self.bus))
        })
    }

    pub(crate) fn all(&self, tx: &mut Tx<'_>) -> Result<Vec<Rule>, Error> {
        Ok(tx.list_json(self.rules(), 100_000)?)
    }
}

/// True for the keys of rules.
pub(super) fn is_rule() -> impl Fn(&[u8]) -> bool {
    let rules = Key::new(OWNER).push("rule");
    move |key| key.starts_with(rules.as_bytes())
}

impl Bus {
    pub(super) fn save(&self, tx: &mut Tx<'_>, home: &Home) -> Result<(), Error> {
        Ok(tx.put_json(home.buses().push(&self.name), self)?)
    }
}

impl Rule {
    pub(super) fn home(&self) -> Home {
        Home { account: self.account.clone(), region: self.region.clone(), bus: self.bus.clone() }
    }

    pub(super) fn save(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.put_json(self.home().rules().push(&self.name), self)?)
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.state != "DISABLED"
    }
}
