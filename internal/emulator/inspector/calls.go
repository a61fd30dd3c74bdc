package inspector

import (
	"cmp"
	"maps"
	"slices"
)

// callsData is the list of calls that the emulator does not implement.
type callsData struct{ Rows []missingCall }

type missingCall struct {
	Name  string // such as "GET /v1/blocklist_identifiers"
	Count int
}

func (v *visit) calls() error {
	state, err := v.state()
	if err != nil {
		return err
	}
	var d callsData
	for _, name := range slices.Sorted(maps.Keys(state.Unimplemented)) {
		d.Rows = append(d.Rows, missingCall{name, state.Unimplemented[name]})
	}
	slices.SortStableFunc(d.Rows, func(a, b missingCall) int { return cmp.Compare(b.Count, a.Count) })
	return v.render("calls", "Missing calls", d)
}
