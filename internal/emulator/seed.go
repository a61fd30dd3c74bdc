package emulator

import (
	"fmt"
	"time"
)

func firstNames() []string {
	return []string{
		"Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Margaret", "Ken", "Radia", "Dennis", "Frances", "Leslie", "Hedy",
		"Tim", "Katherine", "Niklaus", "Sophie", "Linus", "Karen", "Tony", "Annie", "Vint", "Joan", "Guido", "Mary", "Rob",
	}
}

func lastNames() []string {
	return []string{
		"Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Hamilton", "Thompson", "Perlman", "Ritchie", "Allen", "Lamport",
		"Lamarr", "Lee", "Johnson", "Wirth", "Wilson", "Berners", "Jones", "Hoare", "Easley", "Cerf", "Clarke", "Kay", "Keller", "Pike",
	}
}

// seedUsers makes people who were there before: no event tells of them.
func (e *Emulator) seedUsers(n int) {
	start := e.clock.now().Add(-time.Duration(n) * time.Minute).UnixMilli()
	for i := range n {
		now := start + int64(i)*time.Minute.Milliseconds()
		r := e.newUser(now)
		first, last := e.name()
		r.FirstName, r.LastName = &first, &last
		r.addEmail(e.random, fmt.Sprintf("%s.%s.%d@example.com", first, last, i), now, "verified")
		e.users.add(r)
	}
}

func (e *Emulator) name() (first, last string) {
	return firstNames()[e.random.IntN(len(firstNames()))], lastNames()[e.random.IntN(len(lastNames()))]
}
