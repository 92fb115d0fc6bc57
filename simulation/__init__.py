"""A Django app that makes up instances, to demonstrate a server or to try one."""
