package hostel

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

//go:wasmimport env host_http_request
func hostHTTPRequest(request string) uint64

// Header is a name and a value.
type Header struct{ Name, Value string }

// Request is an HTTP request. An empty method is GET.
type Request struct {
	Method, URL string
	Headers     []Header
	Body        []byte
}

// Response is the response to a Request.
type Response struct {
	Status  int
	Headers []Header
	Body    []byte
}

// Header is the first value of a header, or empty.
func (response *Response) Header(name string) string {
	for _, header := range response.Headers {
		if strings.EqualFold(header.Name, name) {
			return header.Value
		}
	}
	return ""
}

// Send has the host send a request, if it grants the server, and waits for the response. A status of 400 or more is no
// error.
func Send(request Request) (*Response, error) {
	if request.Method == "" {
		request.Method = "GET"
	}
	lines := []string{request.Method + " " + request.URL}
	for _, header := range request.Headers {
		lines = append(lines, header.Name+": "+header.Value)
	}
	for _, line := range lines {
		// It would begin another line of the request.
		if strings.Contains(line, "\n") {
			return nil, errors.New("http-invalid: the request has a line end before its body")
		}
	}
	text, _, err := received(hostHTTPRequest(strings.Join(lines, "\n") + "\n\n" + string(request.Body)))
	if err != nil {
		return nil, err
	}
	head, body, _ := bytes.Cut(text, []byte("\n\n"))
	lines = strings.Split(string(head), "\n")
	status, err := strconv.Atoi(lines[0])
	if err != nil {
		return nil, errors.New("the host's response is malformed")
	}
	response := &Response{Status: status, Body: body}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		response.Headers = append(response.Headers, Header{name, value})
	}
	return response, nil
}
