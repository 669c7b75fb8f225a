package callweave

// Client is what somebody has who has no seat: it lists, watches, hears and commands calls, reads and writes contexts, and
// sees who is there. It may be used from several goroutines.
type Client struct {
	// Lists, watches, hears and commands calls.
	Calls *Calls
	// Reads and writes the contexts of calls.
	Contexts *Contexts
	// Pools, agents and gateways.
	Fleet *Fleet

	connection *connection
}

// Connect makes a client. Nothing is sent before the first request. InvalidField: an option breaks its rule.
func Connect(options ConnectionOptions) (*Client, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &connection{options: options}
	return &Client{Calls: &Calls{c}, Contexts: &Contexts{c}, Fleet: &Fleet{c}, connection: c}, nil
}

// Close closes the connection; what is under way fails.
func (c *Client) Close() { c.connection.close() }
