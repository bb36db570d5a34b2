// Go's net: a goroutine for each connection; or one for all datagrams, with -udp. With -unix PATH
// the connections of a Unix socket.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"
)

func serve(connection net.Conn, size int, sleep time.Duration) {
	defer connection.Close()
	buffer := make([]byte, size)
	for {
		count, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if sleep > 0 {
			time.Sleep(sleep)
		}
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
			socket.WriteTo(buffer[:count], sender) // what cannot be sent is lost
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
	sleep := flag.Int("sleep", 0, "milliseconds before each answer")
	flag.Parse()
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
		go serve(connection, *size, time.Duration(*sleep)*time.Millisecond)
	}
}
