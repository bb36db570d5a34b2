// Go's net: a goroutine for each connection, or one for all datagrams with -udp. With -unix PATH it
// serves the connections of a Unix socket.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

// The work of a handler beside echoing: see work.h.
type work struct {
	iterations int64
	sleep      time.Duration
	every      uint32
	turn       uint32
}

//go:noinline
func compute(iterations int64) uint64 {
	x := uint64(88172645463325252)
	for i := int64(0); i < iterations; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

func calibrate() int64 {
	const iterations = 60000
	best := time.Hour
	for trial := 0; trial < 300; trial++ {
		begin := time.Now()
		compute(iterations)
		if spent := time.Since(begin); spent < best {
			best = spent
		}
	}
	return iterations * 1000 / best.Nanoseconds()
}

func (w *work) do() {
	if w.iterations > 0 {
		compute(w.iterations)
	}
	if w.sleep > 0 && (atomic.AddUint32(&w.turn, 1)-1)%w.every == 0 {
		time.Sleep(w.sleep)
	}
}

func serve(connection net.Conn, size int, w *work) {
	defer connection.Close()
	buffer := make([]byte, size)
	for {
		count, err := connection.Read(buffer)
		if err != nil {
			return
		}
		w.do()
		if _, err := connection.Write(buffer[:count]); err != nil {
			return
		}
	}
}

func serveDatagrams(socket net.PacketConn, size int) {
	buffer := make([]byte, size)
	for {
		count, sender, err := socket.ReadFrom(buffer)
		if err == nil {
			socket.WriteTo(buffer[:count], sender) // a datagram that cannot be sent is lost
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	port := flag.Int("port", 0, "0: the system picks")
	udp := flag.Bool("udp", false, "datagrams")
	path := flag.String("unix", "", "a Unix socket in place of the port")
	threads := flag.Int("threads", 0, "that run Go at a time; 0: as many as there are cores")
	size := flag.Int("buffer", 4096, "bytes that each connection reads at a time")
	microseconds := flag.Int64("compute", 0, "microseconds of arithmetic for each request")
	sleep := flag.Int("sleep", 0, "microseconds that one request in -every sleeps")
	every := flag.Uint("every", 1, "see -sleep")
	loops := flag.Int64("loops", 0, "iterations of the arithmetic in a microsecond")
	calibrates := flag.Bool("calibrate", false, "print that number for this machine, and end")
	flag.Parse()
	if *calibrates {
		fmt.Println(calibrate())
		return
	}
	if *microseconds > 0 && *loops == 0 {
		*loops = calibrate()
	}
	w := &work{
		iterations: *microseconds * *loops,
		sleep:      time.Duration(*sleep) * time.Microsecond,
		every:      uint32(*every),
	}
	runtime.GOMAXPROCS(*threads)
	address := fmt.Sprintf("127.0.0.1:%d", *port)
	if *udp {
		socket, err := net.ListenPacket("udp", address)
		check(err)
		fmt.Println("listening on", socket.LocalAddr().(*net.UDPAddr).Port)
		serveDatagrams(socket, *size)
	}
	network := "tcp"
	if *path != "" {
		network, address = "unix", *path
	}
	listener, err := net.Listen(network, address)
	check(err)
	if *path != "" {
		fmt.Println("listening on", *path)
	} else {
		fmt.Println("listening on", listener.Addr().(*net.TCPAddr).Port)
	}
	for {
		connection, err := listener.Accept() // with TCP_NODELAY, Go's default
		if err != nil {
			continue
		}
		go serve(connection, *size, w)
	}
}
