module hostel/guests

go 1.24

require github.com/hostel-rs/hostel/guests/go/hostel v0.1.0

replace github.com/hostel-rs/hostel/guests/go/hostel => ./go/hostel
