"""Jars of others, by Maven, and one Java file of ours that is compiled against them."""

import pathlib
import shutil
import subprocess
import sys

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def missing(why):
    """What is needed is not there: exit code 3."""
    print(f"oracle: {why}", file=sys.stderr)
    sys.exit(3)


class Jars:
    """The jars of a pom in one of these versions, the first that can be had."""

    def __init__(self, here, versions):
        for tool in ["mvn", "java", "javac"]:
            shutil.which(tool) or missing(f"{tool} is needed and not found")
        self.here = pathlib.Path(here)
        self.version = next((v for v in versions if self.have(v)), None)
        self.version or missing(f"none of the versions {', '.join(versions)} can be had")

    def folder(self, version):
        return self.here / ".work" / version

    def have(self, version):
        folder = self.folder(version)
        if (folder / "complete").exists():
            return True
        command = ["mvn", "-B", "-ntp", "-q", "-f", str(self.here / "pom.xml"), COPY]
        command += [f"-Dwanted={version}", "-DincludeScope=runtime"]
        command += [f"-DoutputDirectory={folder / 'lib'}"]
        if subprocess.run(command, capture_output=True).returncode != 0:
            print(f"oracle: {version} cannot be had", file=sys.stderr)
            return False
        return True

    def compile(self, source):
        """Compiles the file, once; the classpath with it."""
        folder = self.folder(self.version)
        classes = folder / "classes"
        if not (folder / "complete").exists():
            command = ["javac", "-cp", f"{folder / 'lib'}/*", "-d", str(classes)]
            subprocess.run([*command, str(self.here / source)], check=True)
            (folder / "complete").touch()
        return f"{classes}:{folder / 'lib'}/*", classes


def said_by(*command):
    """What a command prints."""
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout or done.stderr).strip()


def versions_of(binary):
    """Rows of a table: the connector under test and Java."""
    commit = said_by("git", "rev-parse", "--short", "HEAD")
    java = said_by("java", "-version").splitlines()[0]
    under_test = said_by(str(binary), "--version")
    return [f"| ours | {under_test}, on commit {commit} |", f"| Java | {java} |"]
