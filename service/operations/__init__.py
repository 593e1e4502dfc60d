"""What a request means, without HTTP: typed request in, typed result out. HTTP, jobs, CLI and benchmark all call these."""
