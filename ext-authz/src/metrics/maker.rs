//! Makes metrics and registers them; it keeps none.

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

use super::TABLE;

/// Makes metrics whose help stands in [`TABLE`], so that none lacks a sentence there.
pub(super) struct Maker<'r> {
    pub(super) registry: &'r Registry,
}

impl Maker<'_> {
    pub(super) fn help(name: &str) -> &'static str {
        TABLE.iter().find(|row| row.name == name).map_or("", |row| row.help)
    }

    fn register<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    pub(super) fn counter(&self, name: &str) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::new(name, Self::help(name))?)
    }

    pub(super) fn counters(&self, name: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.register(IntCounterVec::new(Opts::new(name, Self::help(name)), labels)?)
    }

    pub(super) fn gauge(&self, name: &str) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::new(name, Self::help(name))?)
    }

    pub(super) fn float(&self, name: &str) -> Result<Gauge, prometheus::Error> {
        self.register(Gauge::new(name, Self::help(name))?)
    }

    pub(super) fn gauges(&self, name: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.register(IntGaugeVec::new(Opts::new(name, Self::help(name)), labels)?)
    }

    pub(super) fn histogram(&self, name: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        self.register(Histogram::with_opts(HistogramOpts::new(name, Self::help(name)).buckets(buckets.to_vec()))?)
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(name, Self::help(name)).buckets(buckets.to_vec());
        self.register(HistogramVec::new(options, labels)?)
    }
}
