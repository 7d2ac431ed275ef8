package mail

import (
	"bufio"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"net/textproto"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// Bounce is a message of ours that another server gave up on, after ours had taken it.
type Bounce struct {
	ID    ID
	Words string // the other server's
}

// maxReport is more than any report needs; what is longer is cut.
const maxReport = 1 << 20

// ReadBounce reads a delivery status notification (RFC 3464) about a message of ours.
// Faults: Invalid (it is none, is about a delay, or about somebody else's message).
func ReadBounce(r io.Reader) (b Bounce, err error) {
	none := func(why string) error {
		return fault.Invalid.Say("This is no notice that a mail of Muster's came back: %s.", why)
	}
	m, err := netmail.ReadMessage(bufio.NewReader(io.LimitReader(r, maxReport)))
	if err != nil {
		return b, none("it is not a mail")
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		return b, none("its type is not multipart/report with report-type=delivery-status")
	}
	failed := false
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return b, none("its parts cannot be read")
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		switch kind {
		case "message/delivery-status":
			if words, ok := finalWords(part); ok {
				failed, b.Words = true, words
			}
		case "message/rfc822", "text/rfc822-headers", "message/rfc822-headers":
			head, _ := textproto.NewReader(bufio.NewReader(part)).ReadMIMEHeader()
			local, _, _ := strings.Cut(strings.Trim(strings.TrimSpace(head.Get("Message-Id")), "<>"), "@")
			if b.ID, err = store.ParseID[Message](local); err != nil {
				return b, none("the message that it is about is not Muster's")
			}
		}
	}
	switch {
	case b.ID == "":
		return b, none("the message that it is about is not in it")
	case !failed:
		return b, none("nothing in it has failed for good")
	}
	return b, nil
}

// finalWords are those of a recipient for whom delivery failed for good (RFC 3464 §2.3).
func finalWords(part io.Reader) (words string, failed bool) {
	r := textproto.NewReader(bufio.NewReader(part))
	for {
		fields, err := r.ReadMIMEHeader()
		if len(fields) == 0 && err != nil {
			return "", false
		}
		if strings.EqualFold(fields.Get("Action"), "failed") && strings.HasPrefix(fields.Get("Status"), "5") {
			_, said, _ := strings.Cut(fields.Get("Diagnostic-Code"), ";")
			return strings.ToValidUTF8(strings.TrimSpace(fields.Get("Status")+" "+oneLine(said)), "?"), true
		}
	}
}

// CameBack marks a message that another server gave up on, in its organization. Faults:
// NotFound (there is no such message any more).
func (o *Outbox) CameBack(ctx context.Context, b Bounce) error {
	var row mailRow
	err := o.opts.DB.Lookup(ctx, &row, mailColumns+" WHERE id = ? AND state = 'sent'", b.ID)
	if fault.Is(err, fault.NotFound) {
		return fault.NotFound.Say("The message that came back is not known here, or its return is noted already.")
	}
	if err != nil {
		return err
	}
	return o.opts.DB.Write(ctx, access.Muster(string(row.Org)), func(tx *store.Tx) error {
		n, err := tx.Exec("UPDATE mails SET state = 'failed', error = ? WHERE org_id = ? AND id = ? AND state = 'sent'", b.Words, tx.Org(), b.ID)
		if err != nil || n == 0 {
			return err
		}
		if o.opts.Failed != nil {
			if err := o.opts.Failed(tx, b.ID, b.Words); err != nil {
				return err
			}
		}
		return tx.Record(store.Activity{Action: "mail.fail", TargetKind: "mail", TargetID: string(b.ID), TargetName: row.To,
			Detail: map[string]any{"subject": row.Subject, "why": b.Words}})
	})
}
