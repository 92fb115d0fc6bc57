"""A made-up fleet of instances, to demonstrate a server and to put load on one."""
