package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// poster sends to a URL that is a secret.
type poster struct {
	limit time.Duration // of an attempt; 0 is that of ctx alone
	token Secret        // sent as that of a bearer (RFC 6750); nil is none
	pause pause
}

// pause waits between two attempts; nil waits by the clock.
type pause func(ctx context.Context, d time.Duration) error

const (
	attempts   = 4
	firstPause = time.Second
	maxPause   = 30 * time.Second
)

// target reads a URL that nobody is to see.
func target(ctx context.Context, s Secret) (*url.URL, error) {
	if s == nil {
		return nil, errors.New("there is no URL")
	}
	text, err := s(ctx)
	if err != nil {
		return nil, fmt.Errorf("get the URL: %w", err)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("the URL is none that begins with https:// or http://") // which it is stays unsaid
	}
	return u, nil
}

// post sends body, again when the fault may pass: the network, 429 and 5xx.
func (p *poster) post(ctx context.Context, u *url.URL, contentType string, body []byte) error {
	wait := firstPause
	for n := 1; ; n++ {
		again, after, err := p.once(ctx, u, contentType, body)
		if err == nil || !again || n == attempts {
			return err
		}
		if perr := p.sleep(ctx, min(max(wait, after), maxPause)); perr != nil {
			return fmt.Errorf("%w (tried %d times)", err, n)
		}
		wait *= 2
	}
}

func (p *poster) sleep(ctx context.Context, d time.Duration) error {
	if p.pause != nil {
		return p.pause(ctx, d)
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// once is one attempt. again says whether another one may succeed, after when
// the server wants it to be made.
func (p *poster) once(ctx context.Context, u *url.URL, contentType string, body []byte) (again bool, after time.Duration, err error) {
	whole := ctx
	if p.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.limit)
		defer cancel()
	}
	req, err := p.request(ctx, u, contentType, body)
	if err != nil {
		return false, 0, err
	}
	res, err := client.Do(req)
	if err != nil {
		return whole.Err() == nil, 0, fmt.Errorf("%s: %w", u.Host, bare(err))
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 1<<16) // so that the connection can be used again
	switch {
	case res.StatusCode < 300:
		return false, 0, nil
	case res.StatusCode < 400:
		return false, 0, fmt.Errorf("%s: it answers %s and sends to another place, which is not followed", u.Host, res.Status)
	case res.StatusCode == http.StatusTooManyRequests, res.StatusCode >= 500:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return true, time.Duration(min(max(seconds, 0), 3600)) * time.Second, fmt.Errorf("%s: it answers %s", u.Host, res.Status)
	}
	return false, 0, fmt.Errorf("%s: it answers %s", u.Host, res.Status)
}

func (p *poster) request(ctx context.Context, u *url.URL, contentType string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: the URL cannot be asked for", u.Host)
	}
	req.Header.Set("User-Agent", "Ingot")
	req.Header.Set("Content-Type", contentType)
	if p.token != nil {
		token, err := p.token(ctx)
		if err != nil {
			return nil, fmt.Errorf("token for %s: %w", u.Host, err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// client follows redirects only where nobody else gets to see the message and it
// stays what it is: to the same host, and not from 301 and 302, which make
// another request of it.
var client = &http.Client{CheckRedirect: func(req *http.Request, via []*http.Request) error {
	first := via[0]
	if req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme || req.Method != first.Method || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}}

// bare is the reason of an error of net/http without the URL it names.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
