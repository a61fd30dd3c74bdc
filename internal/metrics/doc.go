// Package metrics names everything that clerksync measures: one table ([All]), from which the
// instruments are made, the documentation is written, and alerts and dashboards are checked. Names,
// units and labels are a contract.
//
// Most figures are observed when somebody collects them, from counters that are kept anyway, so
// that events and requests pay nothing for it. Labels have few values, all known beforehand; none
// tells of a person.
package metrics
