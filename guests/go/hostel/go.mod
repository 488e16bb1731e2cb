module github.com/hostel-rs/hostel/guests/go/hostel

go 1.24
