package auth

// Usable reports whether there are keys to verify with: fetched, or stored ones, that are not older than MaxStale. It
// starts nothing.
func (r *RemoteKeySet) Usable() bool {
	set, age := r.load()
	return set != nil && age < r.config.MaxStale
}

// Prepare starts to look for keys if there are none yet, in the store and by a fetch, and waits for neither. Like the
// fetches for tokens, those after a failure come at growing intervals. It reports whether there are keys already.
func (r *RemoteKeySet) Prepare() (found bool) {
	if r.set.Load() != nil {
		return true
	}
	r.startRestore()
	r.begin(0) //nolint:errcheck // the error is that of an earlier fetch
	return false
}
