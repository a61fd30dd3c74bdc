package metrics

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// scope names the library to OpenTelemetry.
const scope = "github.com/clerksync/clerksync"

// Observe reports the present value of a counter or gauge, and the values of its labels in the
// table's order.
type Observe func(name string, value float64, labels ...string)

// Instruments are the metrics of one mirror.
type Instruments struct {
	metrics    map[string]Metric
	histograms map[string]metric.Float64Histogram
	observed   map[string]metric.Float64Observable
	collecting metric.Registration
}

// New returns the instruments of a mirror: all but those of a publisher. collect is called whenever
// a reader collects the values of counters and gauges, until [Instruments.Close].
func New(provider metric.MeterProvider, collect func(context.Context, Observe)) (*Instruments, error) {
	return NewFor(provider, mirrorTable(), collect)
}

// NewFor returns the instruments of some metrics of the table.
func NewFor(provider metric.MeterProvider, table []Metric, collect func(context.Context, Observe)) (*Instruments, error) {
	meter := provider.Meter(scope)
	in := &Instruments{
		metrics: map[string]Metric{}, histograms: map[string]metric.Float64Histogram{}, observed: map[string]metric.Float64Observable{},
	}
	var all []metric.Observable
	for _, m := range table {
		if err := in.make(meter, m); err != nil {
			return nil, fmt.Errorf("metric %s: %w", m.Name, err)
		}
		if o, observed := in.observed[m.Name]; observed {
			all = append(all, o)
		}
	}
	var err error
	in.collecting, err = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		var faults []error
		collect(ctx, func(name string, value float64, labels ...string) {
			faults = append(faults, in.observe(o, name, value, labels))
		})
		return errors.Join(faults...)
	}, all...)
	return in, err
}

func (in *Instruments) make(meter metric.Meter, m Metric) (err error) {
	in.metrics[m.Name] = m
	switch m.Kind {
	case Histogram:
		in.histograms[m.Name], err = meter.Float64Histogram(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Help),
			metric.WithExplicitBucketBoundaries(m.buckets...))
	case Counter:
		in.observed[m.Name], err = meter.Float64ObservableCounter(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Help))
	default:
		in.observed[m.Name], err = meter.Float64ObservableGauge(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Help))
	}
	return err
}

func (in *Instruments) observe(o metric.Observer, name string, value float64, labels []string) error {
	set, err := in.labels(name, labels)
	if err != nil {
		return err
	}
	o.ObserveFloat64(in.observed[name], value, metric.WithAttributeSet(set))
	return nil
}

// labels pairs names with values; both are written in code, so that a mistake is one of ours.
func (in *Instruments) labels(name string, values []string) (attribute.Set, error) {
	m, known := in.metrics[name]
	if !known || len(m.Labels) != len(values) {
		return attribute.Set{}, fmt.Errorf("%s has no such labels: %q", name, values)
	}
	pairs := make([]attribute.KeyValue, len(values))
	for i, label := range m.Labels {
		pairs[i] = attribute.String(label, values[i])
	}
	return attribute.NewSet(pairs...), nil
}

// Record adds a value to a histogram of the table.
func (in *Instruments) Record(name string, value float64, labels ...string) {
	h := in.histograms[name]
	if h == nil || !h.Enabled(context.Background()) {
		return
	}
	if set, err := in.labels(name, labels); err == nil {
		h.Record(context.Background(), value, metric.WithAttributeSet(set))
	}
}

// Close stops the collection.
func (in *Instruments) Close() error { return in.collecting.Unregister() }
