package emulator

import "time"

// endpoint receives all events.
type endpoint struct {
	Target
	secrets  []secret // the first is the newest
	disabled bool
	failing  time.Time // since when failures count; zero after a success
	first    time.Time // failure of the present series
}

type secret struct {
	text  string
	until time.Time // on the instance's clock; zero means forever
}

// secretOverlap is how long a rotated secret still signs together with the new one.
const secretOverlap = 24 * time.Hour

func (p *endpoint) inForce(now time.Time) []string {
	var secrets []string
	for _, x := range p.secrets {
		if x.until.IsZero() || now.Before(x.until) {
			secrets = append(secrets, x.text)
		}
	}
	return secrets
}

// fail counts towards Svix's rule: an endpoint that fails for five days is disabled. The five days
// begin once failures lie twelve hours apart within one day.
func (p *endpoint) fail(now time.Time) {
	if p.first.IsZero() || p.failing.IsZero() && now.Sub(p.first) > 24*time.Hour {
		p.first = now
	}
	if p.failing.IsZero() && now.Sub(p.first) >= 12*time.Hour {
		p.failing = now
	}
	if !p.failing.IsZero() && now.Sub(p.failing) >= 5*24*time.Hour {
		p.disabled = true
	}
}
