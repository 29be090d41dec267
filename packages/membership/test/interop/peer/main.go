// A memberlist node for tests: started with flags, told what to do by lines on standard input, telling by lines of JSON on standard
// output. With -count it is a whole ring in one process, to be measured.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

var out sync.Mutex

// tell writes one line of JSON.
func tell(event string, fields map[string]interface{}) {
	if fields == nil {
		fields = map[string]interface{}{}
	}
	fields["event"] = event
	line, err := json.Marshal(fields)
	if err != nil {
		log.Fatal(err)
	}
	out.Lock()
	defer out.Unlock()
	fmt.Println(string(line))
}

// traffic is what all nodes of this process sent.
type traffic struct {
	bytes   uint64
	capture io.Writer
	lock    sync.Mutex
}

func (t *traffic) sent(kind string, b []byte) {
	atomic.AddUint64(&t.bytes, uint64(len(b)))
	if t.capture != nil {
		t.lock.Lock()
		defer t.lock.Unlock()
		fmt.Fprintf(t.capture, "%s %s\n", kind, hex.EncodeToString(b))
	}
}

type countedConn struct {
	net.Conn
	traffic *traffic
}

func (c countedConn) Write(b []byte) (int, error) {
	c.traffic.sent("stream", b)
	return c.Conn.Write(b)
}

// counted is memberlist's own transport, with what it sends counted.
type counted struct {
	*memberlist.NetTransport
	traffic *traffic
	streams chan net.Conn
}

func newCounted(inner *memberlist.NetTransport, t *traffic) *counted {
	c := &counted{NetTransport: inner, traffic: t, streams: make(chan net.Conn)}
	go func() {
		for conn := range inner.StreamCh() {
			c.streams <- countedConn{conn, t}
		}
	}()
	return c
}

func (c *counted) StreamCh() <-chan net.Conn { return c.streams }

func (c *counted) WriteTo(b []byte, addr string) (time.Time, error) {
	c.traffic.sent("packet", b)
	return c.NetTransport.WriteTo(b, addr)
}

func (c *counted) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	c.traffic.sent("packet", b)
	return c.NetTransport.WriteToAddress(b, a)
}

func (c *counted) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	conn, err := c.NetTransport.DialTimeout(addr, timeout)
	if err != nil {
		return nil, err
	}
	return countedConn{conn, c.traffic}, nil
}

func (c *counted) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	conn, err := c.NetTransport.DialAddressTimeout(a, timeout)
	if err != nil {
		return nil, err
	}
	return countedConn{conn, c.traffic}, nil
}

// watcher tells what the node sees.
type watcher struct {
	meta  []byte
	quiet bool
}

func (w watcher) tell(event string, n *memberlist.Node) {
	if !w.quiet {
		tell(event, map[string]interface{}{"name": n.Name, "addr": n.Address(), "meta": string(n.Meta)})
	}
}
func (w watcher) NotifyJoin(n *memberlist.Node)   { w.tell("join", n) }
func (w watcher) NotifyLeave(n *memberlist.Node)  { w.tell("leave", n) }
func (w watcher) NotifyUpdate(n *memberlist.Node) { w.tell("update", n) }
func (w watcher) NodeMeta(limit int) []byte       { return w.meta }
func (w watcher) NotifyMsg(b []byte) {
	if !w.quiet {
		tell("user", map[string]interface{}{"bytes": len(b)})
	}
}
func (w watcher) GetBroadcasts(overhead, limit int) [][]byte { return nil }
func (w watcher) LocalState(join bool) []byte                { return nil }
func (w watcher) MergeRemoteState(buf []byte, join bool)     {}

func main() {
	name := flag.String("name", "go", "")
	host := flag.String("host", "127.0.0.1", "")
	port := flag.Int("port", 0, "")
	key := flag.String("key", "", "base64")
	compress := flag.Bool("compress", true, "")
	join := flag.String("join", "", "host:port,…")
	meta := flag.String("meta", "", "")
	count := flag.Int("count", 1, "nodes in this process")
	protocol := flag.Int("protocol", 5, "")
	capture := flag.String("capture", "", "file for all that is sent, in hex")
	flag.Parse()

	t := &traffic{}
	if *capture != "" {
		file, err := os.Create(*capture)
		if err != nil {
			log.Fatal(err)
		}
		t.capture = file
	}
	var nodes []*memberlist.Memberlist
	for n := 0; n < *count; n++ {
		own := *name
		if *count > 1 {
			own = *name + "-" + strconv.Itoa(n)
		}
		node, err := start(own, *host, *port, *key, *compress, *meta, uint8(*protocol), *count > 1, t)
		if err != nil {
			log.Fatal(err)
		}
		if n > 0 {
			if _, err := node.Join([]string{nodes[0].LocalNode().Address()}); err != nil {
				log.Fatal(err)
			}
		}
		nodes = append(nodes, node)
	}
	first := nodes[0]
	if *join != "" {
		if _, err := first.Join(strings.Split(*join, ",")); err != nil {
			log.Fatal(err)
		}
	}
	tell("ready", map[string]interface{}{"addr": first.LocalNode().Address()})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		command(first, t, strings.Fields(lines.Text()))
	}
}

func start(name, host string, port int, key string, compress bool, meta string, protocol uint8, quiet bool, t *traffic) (*memberlist.Memberlist, error) {
	quietLog := log.New(io.Discard, "", 0)
	inner, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{host}, BindPort: port, Logger: quietLog})
	if err != nil {
		return nil, err
	}
	config := memberlist.DefaultLANConfig()
	config.Name = name
	config.BindAddr = host
	config.BindPort = inner.GetAutoBindPort()
	config.AdvertiseAddr = host
	config.AdvertisePort = inner.GetAutoBindPort()
	config.Transport = newCounted(inner, t)
	config.ProtocolVersion = protocol
	config.EnableCompression = compress
	config.Logger = quietLog
	if key != "" {
		if config.SecretKey, err = base64.StdEncoding.DecodeString(key); err != nil {
			return nil, err
		}
	}
	watch := watcher{[]byte(meta), quiet}
	config.Delegate = watch
	config.Events = watch
	return memberlist.Create(config)
}

func command(node *memberlist.Memberlist, t *traffic, words []string) {
	if len(words) == 0 {
		return
	}
	switch words[0] {
	case "join":
		n, err := node.Join(words[1:])
		tell("joined", map[string]interface{}{"count": n, "error": fmt.Sprint(err)})
	case "members":
		var names []string
		for _, member := range node.Members() {
			names = append(names, member.Name)
		}
		tell("members", map[string]interface{}{"names": names})
	case "user":
		for _, member := range node.Members() {
			if member.Name == words[1] {
				tell("sent", map[string]interface{}{"packet": node.SendBestEffort(member, []byte("hello")) == nil, "stream": node.SendReliable(member, []byte("hello")) == nil})
			}
		}
	case "bytes":
		tell("bytes", map[string]interface{}{"sent": atomic.LoadUint64(&t.bytes)})
	case "leave":
		err := node.Leave(2 * time.Second)
		tell("gone", map[string]interface{}{"error": fmt.Sprint(err)})
	}
}
