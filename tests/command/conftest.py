"""What the tests of whole runs borrow: a project with lookup tables, a command of all types."""

from tests.whole_model import loads_all, project

__all__ = ["loads_all", "project"]
