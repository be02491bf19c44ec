module example.org/meter

go 1.26.0

require flowscope v0.0.0

replace flowscope => ../../..
