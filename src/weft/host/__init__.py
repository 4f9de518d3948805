"""The engine: one small program that does the work on every server. Standard library only, Python 3.9 and later."""

PROTOCOL = 1

# For a host that has no engine yet: standard input is the zipapp's length, the zipapp, then the request.
BOOT = ("import os,sys,tempfile;i=sys.stdin.buffer;n=int(i.readline());d=tempfile.mkdtemp(prefix='weft-');"
        "p=os.path.join(d,'weft-host.pyz');f=open(p,'wb');f.write(i.read(n));f.close();"
        "import runpy;sys.argv=[p,'--setup'];runpy.run_path(p,run_name='__main__')")
