// Package reach says in words why a server on the network cannot be reached ([Explain]), and
// measures how far the clock of this machine is from the clocks of others ([Clock]).
package reach
