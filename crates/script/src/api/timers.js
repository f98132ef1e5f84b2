(function (host, require, core) {
  return core.timers;
})
