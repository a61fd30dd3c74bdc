package console

import (
	"time"

	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) overviewRoutes() []route {
	return []route{
		{pattern: "GET /{$}", section: "overview", serve: showOverview},
	}
}

// overviewData is the first page: is the mirror right, is it alive, and does anything need someone?
type overviewData struct {
	Overview mirror.SyncOverview
	Proof    proof
	Tiles    []tile
	Events   plot
	Lag      plot
	Warnings []attention
	Changes  []changeRow
}

// proof is the proof in words.
type proof struct {
	Kind     string // ok, warn or info
	Sentence string
	Reasons  []reasonRow
}

const (
	// activityMinutes is how far back the plots go.
	activityMinutes = 60
	// latestChanges is how many changes the overview shows.
	latestChanges = 12
)

func showOverview(v *visit) error {
	ctx := v.r.Context()
	overview, err := v.mirror.Sync().Overview(ctx)
	if err != nil {
		return err
	}
	activity, err := v.mirror.Sync().Activity(ctx, v.now().Add(-activityMinutes*time.Minute))
	if err != nil {
		return err
	}
	latest, err := v.mirror.Feed().Latest(ctx, mirror.ChangeFilter{Limit: latestChanges})
	if err != nil {
		return err
	}
	changes, err := v.changeRows(latest.Items)
	if err != nil {
		return err
	}
	data := overviewData{Overview: overview, Proof: v.proofOf(&overview), Changes: changes}
	data.Tiles = v.overviewTiles(&overview, &activity)
	data.Events, data.Lag = v.eventsPlot(&activity), v.lagPlot(&activity)
	health := v.mirror.Health(ctx)
	data.Tiles = append(data.Tiles, replicaTiles(health.ReadReplica)...)
	for _, w := range health.Warnings {
		data.Warnings = append(data.Warnings, v.attention(w))
	}
	return v.render("overview", "Overview", data)
}

// proofOf returns the proof in words.
func (v *visit) proofOf(o *mirror.SyncOverview) proof {
	s := &o.Status
	if s.InSync {
		return proof{Kind: "ok", Sentence: sentence(s.Sentence)}
	}
	out := proof{Kind: "warn", Sentence: "Not proven to be in sync", Reasons: v.reasonRows(s.Reasons)}
	if len(s.Reasons) == 1 && s.Reasons[0].Code == "counting" {
		out.Kind, out.Sentence = "info", "Rows are being counted"
	}
	return out
}

func (v *visit) overviewTiles(o *mirror.SyncOverview, a *mirror.Activity) []tile {
	s := &o.Status
	tiles := []tile{
		{Label: "Last event", At: o.LastEventAt, Note: pages.Number(a.Events) + " in the last hour", Href: v.to("deliveries")},
		{Label: "Lag (p99)", Value: milliseconds(a.LagP99MS), Note: "median " + milliseconds(a.LagP50MS)},
		{Label: "Oldest comparison", At: o.OldestVerifiedAt, Note: "of a row with Clerk", Href: v.to("sync")},
		{
			Label: "Failed deliveries", Value: pages.Number(s.DeadLetters), Note: pages.Number(s.Quarantined) + " in quarantine",
			Href: v.to("deliveries") + "?state=dead",
		},
	}
	if s.DeadLetters > 0 {
		tiles[3].Kind = "bad"
	}
	var drift, repaired, waiting int64
	for i := range s.Kinds {
		k := &s.Kinds[i]
		drift, repaired, waiting = drift+k.Drift.FoundToday, repaired+k.Drift.RepairedToday, waiting+k.VerifyQueue
	}
	today := tile{Label: "Drift today", Value: pages.Number(drift), Note: "all repaired", Href: v.to("sync")}
	switch {
	case drift == 0:
		today.Note = pages.Plural(waiting, "row", "rows") + " to read again"
	case repaired < drift:
		today.Kind, today.Note = "warn", pages.Number(drift-repaired)+" not repaired"
	}
	tiles = append(tiles, today)
	if b := s.Budget; b != nil {
		tiles = append(tiles, tile{
			Label: "Requests to Clerk",
			Value: pages.Number(b.Used) + " / " + pages.Number(b.Granted), Note: "in 10 s of Clerk's " + pages.Number(b.Limit), Href: v.to("sync"),
		})
		if b.Breaker != "closed" {
			tiles[len(tiles)-1].Kind, tiles[len(tiles)-1].Note = "bad", "Clerk does not answer"
		}
	}
	return tiles
}

// replicaTiles says how old lists may be, where they are read from a replica.
func replicaTiles(r *mirror.ReplicaHealth) []tile {
	switch {
	case r == nil:
		return nil
	case !r.Used:
		return []tile{{Label: "Read replica", Value: "not used", Note: "the primary answers lists", Kind: "warn"}}
	case r.LagSeconds == nil:
		return []tile{{Label: "Read replica", Value: "–", Note: "lists are read from it"}}
	}
	lag := time.Duration(*r.LagSeconds * float64(time.Second))
	return []tile{{Label: "Read replica", Value: pages.Duration(lag), Note: "behind at most; lists are read from it"}}
}

func milliseconds(ms *int64) string {
	if ms == nil {
		return "–"
	}
	return pages.Duration(time.Duration(*ms) * time.Millisecond)
}

func (v *visit) eventsPlot(a *mirror.Activity) plot {
	points := make([]point, len(a.Minutes))
	var most int64
	for i, m := range a.Minutes {
		label := m.At.In(v.prefs.Zone).Format("15:04") + ": " + pages.Plural(m.Events, "event", "events")
		if m.Refused > 0 {
			label += ", " + pages.Number(m.Refused) + " refused"
		}
		points[i] = point{label, float64(m.Events)}
		most = max(most, m.Events)
	}
	p := newPlot("Events per minute in the last hour", points)
	p.Summary = "At most " + pages.Plural(most, "event", "events") + " in a minute, " + pages.Number(a.Events) + " in all."
	p.Max, p.None = "most "+pages.Number(most), "No event came in the last hour"
	return v.withTimes(p, a)
}

func (v *visit) lagPlot(a *mirror.Activity) plot {
	points := make([]point, len(a.Minutes))
	var most int64
	for i, m := range a.Minutes {
		label := m.At.In(v.prefs.Zone).Format("15:04") + ": no events"
		if m.LagP99MS != nil {
			label = m.At.In(v.prefs.Zone).Format("15:04") + ": " + milliseconds(m.LagP99MS)
			points[i].Value = float64(*m.LagP99MS)
			most = max(most, *m.LagP99MS)
		}
		points[i].Label = label
	}
	p := newPlot("99th percentile of the lag, by minute", points)
	p.Summary = "At most " + milliseconds(&most) + "."
	p.Max, p.None = "most "+milliseconds(&most), "No event came in the last hour"
	return v.withTimes(p, a)
}

// withTimes writes the beginning and the end of a plot below it.
func (v *visit) withTimes(p plot, a *mirror.Activity) plot {
	if n := len(a.Minutes); n > 0 {
		p.From, p.To = a.Minutes[0].At.In(v.prefs.Zone).Format("15:04"), a.Minutes[n-1].At.In(v.prefs.Zone).Format("15:04")
	}
	return p
}
