// Go's net: a goroutine for each connection.
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

func main() {
	port := flag.Int("port", 0, "0: the system picks")
	threads := flag.Int("threads", 0, "that run Go at a time; 0: as many as there are cores")
	size := flag.Int("buffer", 4096, "bytes that each connection reads at a time")
	sleep := flag.Int("sleep", 0, "milliseconds before each answer")
	flag.Parse()
	runtime.GOMAXPROCS(*threads)
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening on", listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept() // with TCP_NODELAY, Go's default
		if err != nil {
			continue
		}
		go serve(connection, *size, time.Duration(*sleep)*time.Millisecond)
	}
}
