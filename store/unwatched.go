package store

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// A statement on a few rows that it finds by their keys is not watched for its caller's
// leaving. To watch, database/sql and the driver start a goroutine each: that took 6 of
// 25 µs of our CPU for the look at a token's row. And a write that has begun had better
// end: a cancelled one may have happened or not, and its connection is thrown away.
//
// What can hold such a statement up is another's lock, for which PostgreSQL waits
// lockTimeout. Whoever leaves before the statement begins is noticed: as many run at
// once as there are connections, and the others wait here and not in database/sql.

// lockTimeout is longer than any request may take (scim gives up after 55 seconds).
const lockTimeout = "60s"

// lanes are the statements that run unwatched. SQLite has none: there a read cannot be
// held up, and writes go to the writer.
type lanes chan struct{}

// enter waits for a lane. The context that it gives is for the statement; the lane is
// given back by leave.
func (l lanes) enter(ctx context.Context) (context.Context, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l == nil {
		return ctx, nil
	}
	select {
	case l <- struct{}{}:
		return context.Background(), nil
	default:
	}
	select {
	case l <- struct{}{}:
		return context.Background(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l lanes) leave() {
	if l != nil {
		<-l
	}
}

// connector makes connections that do not wait for a lock for ever. It is a statement
// and no parameter of the connection, which poolers between us and PostgreSQL refuse.
type connector struct{ driver.Connector }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	e, ok := conn.(driver.ExecerContext)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("a connection of type %T takes no statement", conn)
	}
	if _, err := e.ExecContext(ctx, "SET lock_timeout = '"+lockTimeout+"'", nil); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
