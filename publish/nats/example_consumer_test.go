package nats_test //nolint:testableexamples // it needs a server

import (
	"context"
	"encoding/json"
	"log"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/publish/nats"
)

// copies are the objects that a consumer keeps. Yours is a table.
type copies struct {
	seen  map[string]bool // by kind and id: whether it was named since the last reset
	ready bool            // the last snapshot is complete
}

// apply applies a message of the stream. A message may come twice.
func (c *copies) apply(header natsgo.Header, body []byte) error {
	switch header.Get(nats.HeaderType) {
	case nats.TypeReset: // nothing follows from what came before
		c.ready = false
		for key := range c.seen {
			c.seen[key] = false
		}
		return nil
	case nats.TypeComplete: // what was not named does not exist
		c.ready = true
		for key, named := range c.seen {
			if !named {
				delete(c.seen, key)
			}
		}
		return nil
	case "": // of another program
		return nil
	}
	var change mirror.Change
	if err := json.Unmarshal(body, &change); err != nil {
		return err
	}
	key := string(change.Kind) + " " + change.ID
	switch change.Operation {
	case mirror.Deleted, mirror.Erased:
		delete(c.seen, key)
	default:
		c.seen[key] = true // read the object by change.ID, and store it
	}
	return nil
}

// A consumer keeps a copy of what the mirror has.
func Example_consumer() {
	ctx := context.Background()
	conn, err := natsgo.Connect("nats://localhost:4222")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		log.Fatal(err)
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, "CLERK", jetstream.ConsumerConfig{
		Durable: "billing", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1, // one at a time keeps the order
	})
	if err != nil {
		log.Fatal(err)
	}
	users := copies{seen: map[string]bool{}}
	messages, err := consumer.Messages()
	if err != nil {
		log.Fatal(err)
	}
	for {
		msg, err := messages.Next()
		if err != nil {
			log.Fatal(err)
		}
		if err := users.apply(msg.Headers(), msg.Data()); err != nil {
			_ = msg.Nak() // it comes again
			continue
		}
		_ = msg.Ack()
	}
}
