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

// seedUsers makes users that exist from the start. There are no events of them.
func (e *Emulator) seedUsers(n int) {
	start := e.origin.at.Add(-time.Duration(n) * time.Minute).UnixMilli()
	for i := range n {
		now := start + int64(i)*time.Minute.Milliseconds()
		r := e.newUser(now)
		first, last := e.name()
		r.FirstName, r.LastName = &first, &last
		r.depict()
		r.addEmail(e.random, fmt.Sprintf("%s.%s.%d@example.com", first, last, i), now, adminVerification(true))
		e.users.add(r)
	}
}

// seedOrganizations makes organizations that exist from the start. All users have about as many
// memberships.
func (e *Emulator) seedOrganizations(n, memberships int) {
	people := e.users.created
	now := e.origin.at.UnixMilli()
	for i := range n {
		creator := ""
		if len(people) > 0 {
			creator = people[i%len(people)].ID
		}
		_, about := e.name()
		e.organizations.add(e.newOrganization(fmt.Sprintf("%s & Co %d", about, i), creator, now-int64(n-i)))
	}
	for i := range memberships {
		round := i / len(people) // who joined the j-th organization after the own one in each round, joins no one twice
		o := e.organizations.all[(i%len(people)+round)%n]
		role := "org:member"
		if round == 0 {
			role = "org:admin"
		}
		e.organizations.join(&Membership{
			Object: "organization_membership", ID: e.random.id("orgmem"), Role: role, CreatedAt: now - int64(memberships-i), UpdatedAt: now,
			organizationID: o.ID, userID: people[i%len(people)].ID,
		})
	}
}

func (e *Emulator) name() (first, last string) {
	return firstNames()[e.random.IntN(len(firstNames()))], lastNames()[e.random.IntN(len(lastNames()))]
}
