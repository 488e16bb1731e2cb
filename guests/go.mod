module hostel/guests

go 1.24
