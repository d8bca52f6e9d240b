// An application with Dapr's SDK for Go, as it is published: it serves by HTTP or gRPC, as its first argument says, and uses every
// block that the SDK has. It ends with 0 if all was as it should be, and asks its sidecar to end first.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	dapr "github.com/dapr/go-sdk/client"
	"github.com/dapr/go-sdk/service/common"
	grpcd "github.com/dapr/go-sdk/service/grpc"
	httpd "github.com/dapr/go-sdk/service/http"
)

func main() {
	protocol := os.Args[1]
	events, jobs := make(chan string, 100), make(chan string, 1)
	address := "127.0.0.1:" + os.Getenv("APP_PORT")
	var service common.Service
	if protocol == "grpc" {
		served, err := grpcd.NewService(address)
		must(err)
		service = served
		must(service.AddJobEventHandler("greet", func(_ context.Context, job *common.JobEvent) error {
			jobs <- string(job.Data)
			return nil
		}))
	} else {
		service = httpd.NewService(address)
	}
	orders := &common.Subscription{PubsubName: "pubsub", Topic: "orders", Route: "/orders"}
	failed := map[string]bool{}
	must(service.AddTopicEventHandler(orders, func(_ context.Context, event *common.TopicEvent) (bool, error) {
		// Each is refused once, and comes again.
		if !failed[event.ID] {
			failed[event.ID] = true
			return true, fmt.Errorf("not yet")
		}
		events <- string(event.RawData)
		return false, nil
	}))
	must(service.AddServiceInvocationHandler("/echo", echo))
	go func() { must(service.Start()) }()

	client, err := dapr.NewClient()
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	must(client.Wait(ctx, time.Minute))
	state(ctx, client)
	publish(ctx, client, events)
	others(ctx, client)
	if protocol == "grpc" {
		job := &dapr.Job{Name: "greet", DueTime: "0s", Repeats: 1, Schedule: "@every 1s"}
		must(client.ScheduleJobAlpha1(ctx, job))
		<-jobs
	}
	must(client.Shutdown(ctx))
}

// A call of its own by way of its sidecar.
func echo(_ context.Context, in *common.InvocationEvent) (*common.Content, error) {
	return &common.Content{Data: append([]byte("echo "), in.Data...), ContentType: in.ContentType}, nil
}

func state(ctx context.Context, client dapr.Client) {
	const store = "statestore"
	must(client.SaveState(ctx, store, "k", []byte("one"), map[string]string{"ttlInSeconds": "100"}))
	item, err := client.GetState(ctx, store, "k", nil)
	must(err)
	same(string(item.Value), "one")
	first := dapr.WithConcurrency(dapr.StateConcurrencyFirstWrite)
	must(client.SaveStateWithETag(ctx, store, "k", []byte("two"), item.Etag, nil, first))
	if client.SaveStateWithETag(ctx, store, "k", []byte("three"), item.Etag, nil, first) == nil {
		panic("an ETag of before is taken")
	}
	must(client.SaveBulkState(ctx, store, &dapr.SetStateItem{Key: "a", Value: []byte("1")}, &dapr.SetStateItem{Key: "b", Value: []byte("2")}))
	several, err := client.GetBulkState(ctx, store, []string{"a", "b"}, nil, 10)
	must(err)
	same(len(several), 2)
	must(client.ExecuteStateTransaction(ctx, store, nil, []*dapr.StateOperation{
		{Type: dapr.StateOperationTypeUpsert, Item: &dapr.SetStateItem{Key: "c", Value: []byte("3")}},
		{Type: dapr.StateOperationTypeDelete, Item: &dapr.SetStateItem{Key: "a"}},
	}))
	gone, err := client.GetState(ctx, store, "a", nil)
	must(err)
	same(len(gone.Value), 0)
	must(client.DeleteState(ctx, store, "k", nil))
}

func publish(ctx context.Context, client dapr.Client, events chan string) {
	must(client.PublishEvent(ctx, "pubsub", "orders", []byte(`{"n":1}`), dapr.PublishEventWithContentType("application/json")))
	same(<-events, `{"n":1}`)
	same(len(client.PublishEvents(ctx, "pubsub", "orders", []interface{}{map[string]int{"n": 2}, map[string]int{"n": 3}}).FailedEvents), 0)
	<-events
	<-events
	stream, err := client.Subscribe(ctx, dapr.SubscriptionOptions{PubsubName: "pubsub", Topic: "streamed"})
	must(err)
	must(client.PublishEvent(ctx, "pubsub", "streamed", []byte("by a stream")))
	event, err := stream.Receive()
	must(err)
	same(string(event.RawData), "by a stream")
	must(event.Success())
	must(stream.Close())
}

func others(ctx context.Context, client dapr.Client) {
	meta, err := client.GetMetadata(ctx)
	must(err)
	said, err := client.InvokeMethodWithContent(ctx, meta.ID, "echo", "post", &dapr.DataContent{Data: []byte("hi"), ContentType: "text/plain"})
	must(err)
	same(string(said), "echo hi")
	lock, err := client.TryLockAlpha1(ctx, "locks", &dapr.LockRequest{LockOwner: "me", ResourceID: "r", ExpiryInSeconds: 10})
	must(err)
	same(lock.Success, true)
	let, err := client.UnlockAlpha1(ctx, "locks", &dapr.UnlockRequest{LockOwner: "me", ResourceID: "r"})
	must(err)
	same(let.Status, "SUCCESS")
	secret, err := client.GetSecret(ctx, "secrets", "db", nil)
	must(err)
	same(secret["db"], "hush")
	items, err := client.GetConfigurationItems(ctx, "configuration", []string{"nobody-has-set-it"})
	must(err)
	same(len(items), 0)
}

func same[T comparable](is, should T) {
	if is != should {
		panic(fmt.Sprintf("%v, not %v", is, should))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
