package callweave

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Serve makes an agent and takes calls until SIGTERM or SIGINT; then it drains, as Run does. A second signal gives all calls
// back at once. It fails as NewAgent and Run do. The simplest way to have an agent process.
func Serve(options AgentOptions, handler Handler) error {
	agent, err := NewAgent(options, handler)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	ctx, drain := context.WithCancel(context.Background())
	defer drain()
	go func() {
		select {
		case <-signals:
			drain()
		case <-agent.over:
			return
		}
		select {
		case <-signals:
			_ = agent.Close()
		case <-agent.over:
		}
	}()
	return agent.Run(ctx)
}
