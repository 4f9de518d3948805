"""Tests on real hosts: real SSH, real Apache, real file systems, each host in namespaces of its own."""
